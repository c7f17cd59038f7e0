"""The photos that a file classifies otherwise than the trained model, as a contact sheet to look at."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from handlens.export.parity import Probabilities
from handlens.export.reference import Reference
from handlens.figures import Mistake, mistakes
from handlens.pixels import PixelStore

MOST = 48  # photos on a sheet


def find(
    exported: Probabilities, test: Reference, store: PixelStore, classes: Sequence[str]
) -> list[Mistake]:
    """List the test photos with another top-1, the largest difference first; "truth" is the trained model."""
    top, top_trained = exported.argmax(axis=1), test.trained.argmax(axis=1)
    different = np.flatnonzero(top != top_trained)
    size = np.abs(exported[different] - test.trained[different]).max(axis=1)
    chosen = different[np.argsort(-size, kind="stable")]
    squares = store.take(test.slots[chosen])
    return [
        Mistake(
            square=squares[number],
            truth=classes[top_trained[row]],
            prediction=classes[top[row]],
            truth_probability=float(test.trained[row, top_trained[row]]),
            prediction_probability=float(exported[row, top[row]]),
            name=test.photos["path"].iloc[row],
        )
        for number, row in enumerate(chosen)
    ]


def draw(found: Sequence[Mistake], kind: str, photos: int, path: Path) -> None:
    """Draw the sheet: what the file says, then what the trained model says."""
    title = (
        f"{kind}: {len(found)} of {photos} test photos where the file (\u2717) and the model (\u2713) differ"
    )
    mistakes(found[:MOST], path, title=title)
