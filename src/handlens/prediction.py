"""Predict photos of any format, size and orientation, as they come from a camera.

A model is an exported file, which needs nothing else (no project; for `.onnx` no torch), or a folder
`models/<name>` of a trained one. Photos take the way of `scan`: the same reading, the same fit.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from handlens import photos
from handlens.contract import Contract
from handlens.errors import UserError
from handlens.pixels import Pixels
from handlens.reasons import PhotoError

BATCH = 32
MAX_MEGAPIXELS = 200.0  # larger photos are refused as decompression bombs

Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class Model:
    """Squares (N, store, store, 3) to probabilities (N, classes), and the contract of both."""

    predict: Callable[[Pixels], Probabilities]
    contract: Contract
    name: str


@dataclass(frozen=True)
class Prediction:
    """What a model says of one photo: `probabilities` (classes,), or None and why it cannot be read."""

    path: Path
    probabilities: Probabilities | None
    problem: str = ""


def load(path: Path) -> Model:
    """Load an exported file or a trained model's folder.

    Raises `UserError` when `path` is neither.
    """
    if path.is_dir():
        return load_trained(path)
    from handlens.export import runtime

    exported = runtime.open_file(path)
    return Model(exported.predict, exported.metadata.contract, exported.metadata.model)


def load_trained(folder: Path) -> Model:
    """Load `weights.safetensors` and `model.json`."""
    from handlens import checkpoint
    from handlens.export.reference import eager
    from handlens.preprocessing import Classifier

    network, card = checkpoint.load(folder)
    return Model(eager(Classifier(network, card.contract).eval()), card.contract, card.model)


def find(paths: Iterable[Path]) -> list[Path]:
    """List photos: a file stands for itself, a folder for all files below it, by path, hidden ones left out.

    A path that does not exist stays in the list, to be reported with the photos that cannot be read.
    """
    found: list[Path] = []
    for path in paths:
        found.extend(files_below(path) if path.is_dir() else [path])
    return found


def files_below(folder: Path) -> list[Path]:
    """List the files below a folder; none at all is a `UserError`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and visible(path, folder))
    if not files:
        raise UserError(f"{folder} holds no files. Name a folder with photos in it or below it.")
    return files


def visible(path: Path, folder: Path) -> bool:
    """Tell whether neither the file nor a folder on the way to it is hidden."""
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)


def predict(model: Model, paths: Sequence[Path]) -> Iterator[Prediction]:
    """Predict photos one batch at a time, in order; one that cannot be read says why."""
    for start in range(0, len(paths), BATCH):
        yield from predict_batch(model, paths[start : start + BATCH])


def predict_batch(model: Model, paths: Sequence[Path]) -> list[Prediction]:
    """Read a few photos and predict those that can be read, in one call."""
    read = [square(path, model.contract) for path in paths]
    pixels = [photo for photo in read if not isinstance(photo, str)]
    rows = iter(model.predict(np.stack(pixels)) if pixels else ())
    return [
        Prediction(path, None, photo) if isinstance(photo, str) else Prediction(path, next(rows))
        for path, photo in zip(paths, read, strict=True)
    ]


def square(path: Path, contract: Contract) -> Pixels | str:
    """Read and fit a photo as `scan` does; one that cannot be read gives the reason."""
    store = (contract.store_size, contract.fit)
    try:
        photo = photos.read(
            path, transparency=contract.transparency, max_megapixels=MAX_MEGAPIXELS, store=store
        )
    except PhotoError as error:
        return "There is no such file." if error.reason == "vanished" else str(error)
    return photos.fit(photo.rgb, *store, whole=photo.header)[0]


def top(prediction: Prediction, classes: Sequence[str], count: int) -> list[tuple[str, float]]:
    """Give the `count` likeliest classes of a readable photo with their probabilities, likeliest first."""
    assert prediction.probabilities is not None
    order = np.argsort(-prediction.probabilities, kind="stable")[:count]
    return [(classes[index], float(prediction.probabilities[index])) for index in order]


def line(prediction: Prediction, classes: Sequence[str], count: int) -> str:
    """Write a readable photo's likeliest classes in a line."""
    shown = (f"{name} {probability:.3f}" for name, probability in top(prediction, classes, count))
    return f"{printable(prediction.path)}: {', '.join(shown)}"


def printable(path: Path) -> str:
    """Give a path as text; bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def as_json(predictions: Iterable[Prediction], classes: Sequence[str], count: int) -> str:
    """Write a list with an object per photo: path, prediction (null if unreadable), top, problem."""
    objects = []
    for found in predictions:
        best = [] if found.problem else top(found, classes, count)
        objects.append(
            {
                "path": printable(found.path),
                "prediction": best[0][0] if best else None,
                "top": [{"class": name, "probability": value} for name, value in best],
                "problem": found.problem,
            }
        )
    return json.dumps(objects, indent=2, ensure_ascii=False)


def table(predictions: Iterable[Prediction], classes: Sequence[str]) -> pd.DataFrame:
    """Make a table, a row per photo: path, prediction, problem, then a probability column per class."""
    rows = []
    for found in predictions:
        row: dict[str, object] = {"path": printable(found.path), "prediction": "", "problem": found.problem}
        if found.probabilities is not None:
            row["prediction"] = top(found, classes, 1)[0][0]
        rows.append(row)
    nothing = np.full(len(classes), np.nan, np.float32)
    given = [nothing if found.probabilities is None else found.probabilities for found in predictions]
    return pd.concat([pd.DataFrame(rows), pd.DataFrame(given, columns=list(classes))], axis=1)
