"""The photos that a file classifies otherwise than the trained model, as a contact sheet to look at."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from handlens.export.parity import Probabilities
from handlens.export.reference import Reference
from handlens.figures import Guess, guesses
from handlens.pixels import PixelStore

MOST = 48  # photos on a sheet


def find(exported: Probabilities, test: Reference, store: PixelStore, classes: Sequence[str]) -> list[Guess]:
    """List the test photos with another top-1, largest difference first; the rival is the model's."""
    top, top_trained = exported.argmax(axis=1), test.trained.argmax(axis=1)
    different = np.flatnonzero(top != top_trained)
    size = np.abs(exported[different] - test.trained[different]).max(axis=1)
    chosen = different[np.argsort(-size, kind="stable")]
    squares = store.take(test.slots[chosen])
    return [
        Guess(
            square=squares[number],
            prediction=classes[top[row]],
            prediction_probability=float(exported[row, top[row]]),
            rival=classes[top_trained[row]],
            rival_probability=float(test.trained[row, top_trained[row]]),
            right=False,
            name=test.photos["path"].iloc[row],
        )
        for number, row in enumerate(chosen)
    ]


def draw(found: Sequence[Guess], kind: str, photos: int, path: Path) -> None:
    """Draw the sheet: what the file says, then what the trained model says."""
    title = (
        f"{kind}: {len(found)} of {photos} test photos where the file (\u2717) and the model (\u2713) differ"
    )
    guesses(found[:MOST], path, title=title)
