"""Test photos to look at: the worst mistakes and the least certain ones, with what the network saw in them.

A folder of two files keeps them for the report: `photos.csv`, one row per photo, and `heat.npy`, its
Grad-CAM maps in the same order, uint8 (N, h, w).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from handlens import evaluation, figures, gradcam, manifest
from handlens.errors import UserError
from handlens.pixels import PixelStore
from handlens.preprocessing import Classifier

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

MISTAKE, UNCERTAIN = "mistake", "uncertain"
COLUMNS = [
    *("why", "photo_id", "path", "slot", "truth"),
    *("prediction", "prediction_probability", "rival", "rival_probability"),
]
PHOTOS, HEAT = "photos.csv", "heat.npy"


def worst_mistakes(test: evaluation.Side, most: int) -> Ints:
    """Choose at most `most` wrongly classified photos, the most confident first: rows of `test`."""
    n = np.arange(len(test.truth))
    lead = test.probabilities[n, test.predicted] - test.probabilities[n, test.truth]
    wrong = np.flatnonzero(test.predicted != test.truth)
    return first_by(-lead[wrong], wrong, test, most)


def least_certain(test: evaluation.Side, most: int) -> Ints:
    """Choose the `most` photos whose likeliest class has the lowest probability: rows of `test`."""
    return first_by(test.probabilities.max(axis=1), np.arange(len(test.truth)), test, most)


def first_by(values: NDArray[np.float64], rows: Ints, test: evaluation.Side, most: int) -> Ints:
    """Take the `most` of `rows` with the lowest `values`; equal ones by photo_id."""
    ids = test.rows["photo_id"].to_numpy()[rows]
    return rows[np.lexsort((ids, values))[:most]]


def choose(test: evaluation.Side, split: pd.DataFrame, classes: Sequence[str], most: int) -> pd.DataFrame:
    """Tabulate at most `most` of the worst mistakes, then of the least certain photos: `COLUMNS`.

    `rival` is the class that the prediction is weighed against: the true one if the prediction is wrong, else
    the likeliest other. `split` is the split table, which knows each photo's slot.
    """
    mistakes, uncertain = worst_mistakes(test, most), least_certain(test, most)
    chosen = np.concatenate([mistakes, uncertain])
    n, found, predicted = np.arange(len(chosen)), test.probabilities[chosen], test.predicted[chosen]
    others = found.copy()
    others[n, predicted] = -1
    truth = test.truth[chosen]
    rival = np.where(predicted == truth, others.argmax(axis=1), truth)
    names = np.array(classes, dtype=object)
    table = test.rows[["photo_id", "path", "truth", "prediction"]].iloc[chosen].reset_index(drop=True)
    return table.assign(
        why=[MISTAKE] * len(mistakes) + [UNCERTAIN] * len(uncertain),
        slot=slots_of(table, split),
        prediction_probability=found[n, predicted].astype(np.float32),
        rival=names[rival],
        rival_probability=found[n, rival].astype(np.float32),
    )[COLUMNS]


def slots_of(table: pd.DataFrame, split: pd.DataFrame) -> Ints:
    """Look up where the photos of `table` lie in the pixel store."""
    slots = split.drop_duplicates("photo_id").set_index("photo_id")["slot"]
    return slots.loc[table["photo_id"]].to_numpy(np.int64)


def heat(classifier: Classifier, store: PixelStore, table: pd.DataFrame, classes: Sequence[str]) -> Bytes:
    """Show what spoke for each prediction of a table of `choose`: uint8 (N, h, w), see `gradcam.heat`."""
    squares = store.take(table["slot"].to_numpy(np.int64))
    index = {name: i for i, name in enumerate(classes)}
    predicted = np.array([index[name] for name in table["prediction"]], np.int64)
    return (gradcam.heat(classifier, squares, predicted) * 255).round().astype(np.uint8)


def save(folder: Path, table: pd.DataFrame, heats: Bytes) -> None:
    """Write `photos.csv` and `heat.npy`."""
    manifest.write(table, folder / PHOTOS)
    np.save(folder / HEAT, heats)


def load(folder: Path) -> tuple[pd.DataFrame, Bytes]:
    """Read what `save` wrote; files that are missing or do not belong together are a `UserError`."""
    table = manifest.read(folder / PHOTOS)
    try:
        heats: Bytes = np.load(folder / HEAT, allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError) as error:
        raise UserError(
            f"{folder / HEAT} is missing or damaged ({error}). Run 'dvc repro' or 'dvc pull'."
        ) from None
    if len(heats) != len(table):
        raise UserError(
            f"{folder / HEAT} has {len(heats)} maps for {len(table)} photos. Run 'dvc repro' again."
        )
    return table, heats


def draw(
    table: pd.DataFrame, heats: Bytes, store: PixelStore, test: evaluation.Side, model: str, folder: Path
) -> None:
    """Draw both sheets into `folder`, each photo beside itself under its heat."""
    photos = f"{model}: {len(test.truth):,} test photos"
    wrong = int((test.truth != test.predicted).sum())
    words = {
        MISTAKE: f"the worst of {wrong:,} mistakes" if wrong else "no mistakes",
        UNCERTAIN: "the least certain",
    }
    heat_words = "beside each, Grad-CAM's evidence for the prediction"
    if not heats[0].size:
        heat_words = "no heat: the network has no map of places"
    for why, name in ((MISTAKE, "mistakes"), (UNCERTAIN, "least_certain")):
        rows = np.flatnonzero(table["why"] == why)
        guesses = as_guesses(table.iloc[rows], heats[rows], store)
        figures.guesses(guesses, folder / f"{name}.png", title=f"{photos}, {words[why]}; {heat_words}")


def as_guesses(table: pd.DataFrame, heats: Bytes, store: PixelStore) -> list[figures.Guess]:
    """Put the photos of a table of `choose` beside their rows."""
    squares = store.take(table["slot"].to_numpy(np.int64))
    return [
        figures.Guess(
            square,
            prediction=row["prediction"],
            prediction_probability=row["prediction_probability"],
            rival=row["rival"],
            rival_probability=row["rival_probability"],
            right=row["prediction"] == row["truth"],
            name=row["path"].rpartition("/")[2],
            heat=heat if heat.size else None,
        )
        for row, square, heat in zip(table.to_dict("records"), squares, heats, strict=True)
    ]


def draw_suspects(
    suspects: pd.DataFrame, split: pd.DataFrame, store: PixelStore, model: str, most: int, folder: Path
) -> None:
    """Draw at most `most` photos of a table of `labels.suspects`."""
    shown = suspects[:most]
    squares = store.take(slots_of(shown, split))
    found = [
        figures.Suspect(
            square,
            label=row["label"],
            label_probability=row["label_probability"],
            prediction=row["prediction"],
            prediction_probability=row["prediction_probability"],
            name=row["path"].rpartition("/")[2],
        )
        for row, square in zip(shown.to_dict("records"), squares, strict=True)
    ]
    title = f"{model}: {len(suspects):,} suspected label errors among validation and test photos"
    if len(found) < len(suspects):
        title += f", the first {len(found):,}"
    figures.suspects(found, folder / "label_errors.png", title=title)
