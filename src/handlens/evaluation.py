"""Predict the photos that training never saw, and judge the predictions.

Validation photos have chosen the epoch; test photos are looked at once, here. All scores, tables and
pictures come from the table of predictions, so each can be recomputed from `data/predictions/M.csv`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from handlens import figures, scoring, zoo
from handlens.contract import Contract
from handlens.errors import UserError
from handlens.export import latency
from handlens.pixels import Pixels, PixelStore, chunks

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

COLUMNS = ["photo_id", "path", "split", "group", "truth", "prediction"]


def predict(
    classifier: nn.Module,
    store: PixelStore,
    rows: pd.DataFrame,
    classes: Sequence[str],
    *,
    batch_size: int = 64,
) -> pd.DataFrame:
    """Predict the validation and test photos of the split table `rows`, one row each in its order.

    Columns: `COLUMNS`, then one per class with its probability (float32), in class order.
    """
    unseen = rows[rows["split"].isin(["val", "test"])].reset_index(drop=True)
    if not len(unseen):
        raise UserError("the split has no validation and no test photos. Run 'dvc repro split'.")
    found = probabilities(classifier, store, unseen["slot"].to_numpy(np.int64), batch_size)
    broken = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(broken):
        bad = unseen["path"].iloc[broken[0]]
        raise UserError(
            f"the model predicts no number for {bad}: its training has diverged. "
            "Lower the recipe's lr, then run 'dvc repro'."
        )
    names = np.array(classes, dtype=object)
    table = unseen[["photo_id", "path", "split", "group"]].assign(
        truth=unseen["label"], prediction=names[found.argmax(axis=1)]
    )
    columns = pd.DataFrame(found, columns=probability_columns(classes))
    return pd.concat([table[COLUMNS], columns], axis=1)


def probabilities(
    classifier: nn.Module,
    store: PixelStore,
    slots: Ints,
    batch_size: int,
    *,
    change: Callable[[Pixels], Pixels] = lambda pixels: pixels,
) -> NDArray[np.float32]:
    """Predict the photos at `slots` (N,), in batches, each after `change`: float32 (N, classes)."""
    classifier.eval()
    with torch.inference_mode():
        parts = [
            classifier(torch.from_numpy(change(pixels))).numpy()
            for _, pixels in chunks(store, slots, batch_size)
        ]
    return np.concatenate(parts)


def probability_columns(classes: Sequence[str]) -> list[str]:
    """Name the probability columns: the class names, told apart from the other columns if need be."""
    taken = {*COLUMNS, *classes}
    names = []
    for name in classes:
        column = name
        while column in COLUMNS or (column != name and column in taken):
            column += " (class)"
        names.append(column)
        taken.add(column)
    return names


@dataclass(frozen=True)
class Side:
    """Predictions as arrays: class indices (N,), groups (N,), probabilities (N, C)."""

    rows: pd.DataFrame
    truth: Ints
    predicted: Ints
    group: Ints
    probabilities: Floats


def side(predictions: pd.DataFrame, name: str, classes: Sequence[str]) -> Side:
    """Take the rows of one side (`val` or `test`) out of a table that `predict` made."""
    return as_arrays(predictions[predictions["split"] == name], classes)


def as_arrays(predictions: pd.DataFrame, classes: Sequence[str]) -> Side:
    """Turn rows of a table that `predict` made into arrays."""
    rows = predictions.reset_index(drop=True)
    index = {c: i for i, c in enumerate(classes)}
    truth, predicted = (
        np.array([index[c] for c in rows[column]], np.int64) for column in ("truth", "prediction")
    )
    group = rows["group"].to_numpy(np.int64)
    return Side(rows, truth, predicted, group, rows.iloc[:, len(COLUMNS) :].to_numpy(np.float64))


@dataclass(frozen=True)
class Judgement:
    """What the predictions say: slim `metrics`, `tables` for plots by name, the confusion `matrix`."""

    model: str
    metrics: dict[str, float | int]
    tables: dict[str, pd.DataFrame]
    matrix: Ints
    test: Side


def judge(
    predictions: pd.DataFrame, classes: Sequence[str], model: str, *, resamples: int, seed: int
) -> Judgement:
    """Score a table of `predict`; intervals by `resamples` resamples of the test groups.

    Raises `UserError` when a side has no photo of a class.
    """
    val, test = side(predictions, "val", classes), side(predictions, "test", classes)
    require_every_class(val, test, classes)
    main, per_class = scoring.with_intervals(
        test.truth, test.predicted, test.group,
        classes=len(classes), resamples=resamples, seed=seed,
    )  # fmt: skip
    per_class.insert(0, "class", list(classes))
    chosen_by = scoring.main_scores(val.truth, val.predicted)
    matrix = scoring.confusion(test.truth, test.predicted, len(classes))
    temperature = scoring.fit_temperature(val.truth, val.probabilities)
    tables = {
        "scores": all_scores(main, test, temperature),
        "classes": per_class,
        "confusion": confusion_table(matrix, classes),
        "pairs": scoring.confused_pairs(matrix, classes),
        "reliability": reliability_table(test, temperature),
        "precision_recall": scoring.precision_recall(test.truth, test.probabilities, classes),
        "roc": scoring.roc(test.truth, test.probabilities, classes),
    }
    for table in tables.values():
        table.insert(0, "model", model)
    tables["outcomes"] = test.rows[["photo_id", "group"]].assign(truth=test.truth, prediction=test.predicted)
    metrics = {
        **main,
        "val_accuracy": chosen_by["accuracy"],
        "val_macro_f1": chosen_by["macro_f1"],
        "test_photos": len(test.truth),
    }
    return Judgement(model, metrics, tables, matrix, test)


def require_every_class(val: Side, test: Side, classes: Sequence[str]) -> None:
    """Refuse sides on which a class has no photo: its recall would be made up."""
    for name, truth in (("val", val.truth), ("test", test.truth)):
        missing = [c for i, c in enumerate(classes) if not (truth == i).any()]
        if missing:
            raise UserError(
                f"no {name} photo of class {missing[0]!r}: it cannot be judged. Run 'dvc repro split'."
            )


def all_scores(main: dict[str, float], test: Side, temperature: float) -> pd.DataFrame:
    """Tabulate every score of the test photos: score, value, and the interval's ends where known.

    Those that end in `_scaled` are after dividing the logits by `temperature`.
    """
    scaled = scoring.soften(test.probabilities, temperature)
    further = {
        **scoring.further_scores(test.truth, test.probabilities),
        "temperature": temperature,
        "calibration_error_scaled": scoring.calibration_error(test.truth, scaled),
        "log_loss_scaled": scoring.log_loss(test.truth, scaled),
    }
    names = [name for name in main if not name.endswith(("_low", "_high"))]
    rows = [(name, main[name], main[f"{name}_low"], main[f"{name}_high"]) for name in names]
    rows += [(name, value, np.nan, np.nan) for name, value in further.items()]
    return pd.DataFrame(rows, columns=["score", "value", "low", "high"])


def reliability_table(test: Side, temperature: float) -> pd.DataFrame:
    """Tabulate confidence against accuracy, as trained and after scaling: kind and `reliability`'s."""
    kinds = {
        "as trained": test.probabilities,
        f"temperature {temperature:.2f}": scoring.soften(test.probabilities, temperature),
    }
    parts = [scoring.reliability(test.truth, found) for found in kinds.values()]
    for kind, part in zip(kinds, parts, strict=True):
        part.insert(0, "kind", kind)
    return pd.concat(parts, ignore_index=True)


def confusion_table(matrix: Ints, classes: Sequence[str]) -> pd.DataFrame:
    """Tabulate a confusion matrix for plots, in class order: actual, predicted, photos, share of row."""
    rows, columns = np.indices(matrix.shape)
    names = np.array(classes, dtype=object)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return pd.DataFrame(
        {
            "actual": names[rows.ravel()],
            "predicted": names[columns.ravel()],
            "photos": matrix.ravel(),
            "share": share.ravel().round(4),
        }
    )


def draw(judgement: Judgement, classes: Sequence[str], folder: Path) -> None:
    """Draw the confusion matrix and the reliability diagram into `folder`."""
    photos = f"{judgement.model}: {len(judgement.test.truth):,} test photos"
    figures.confusion(judgement.matrix, classes, folder / "confusion.png", title=photos)
    figures.reliability(judgement.tables["reliability"], folder / "reliability.png", title=photos)


def cost(network: nn.Module, contract: Contract, weights: Path) -> dict[str, float | int]:
    """Measure what one photo costs: `params`, `macs`, `weights_mb` (10^6 bytes), `latency_ms`.

    The latency is the median of 30 eager forward passes of one photo on one thread, preprocessing excluded.
    """
    counts = zoo.count(network, contract.input_size)
    photo = torch.zeros(1, 3, contract.input_size, contract.input_size)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            taken = latency.measure({"eager": lambda: network(photo)}, rounds=30, warmup=5)
    finally:
        torch.set_num_threads(threads)
    return {
        "params": counts.params,
        "macs": counts.macs,
        "weights_mb": round(weights.stat().st_size / 1e6, 3),
        "latency_ms": round(taken["eager"].median, 2),
    }
