"""Predict the photos that training never saw, and judge the predictions.

Validation photos have chosen the epoch; test photos are looked at once, here. All scores, tables and
pictures come from the table of predictions, so each can be recomputed from `data/predictions/M.csv`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from handlens import scoring, zoo
from handlens.contract import Contract
from handlens.errors import UserError
from handlens.export import latency
from handlens.pixels import PixelStore, chunks

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
    classifier: nn.Module, store: PixelStore, slots: Ints, batch_size: int
) -> NDArray[np.float32]:
    """Predict the photos at `slots` (N,), in batches: float32 (N, classes)."""
    classifier.eval()
    with torch.inference_mode():
        parts = [
            classifier(torch.from_numpy(pixels)).numpy() for _, pixels in chunks(store, slots, batch_size)
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
    """The predictions of one side as arrays: class indices (N,), groups (N,), probabilities (N, C)."""

    rows: pd.DataFrame
    truth: Ints
    predicted: Ints
    group: Ints
    probabilities: Floats


def side(predictions: pd.DataFrame, name: str, classes: Sequence[str]) -> Side:
    """Take the rows of one side (`val` or `test`) out of a table that `predict` made."""
    rows = predictions[predictions["split"] == name].reset_index(drop=True)
    index = {c: i for i, c in enumerate(classes)}
    truth, predicted = (
        np.array([index[c] for c in rows[column]], np.int64) for column in ("truth", "prediction")
    )
    group = rows["group"].to_numpy(np.int64)
    return Side(rows, truth, predicted, group, rows.iloc[:, len(COLUMNS) :].to_numpy(np.float64))


@dataclass(frozen=True)
class Judgement:
    """What the predictions say: slim `metrics`, all `scores` by name, the tables for plots and pictures."""

    metrics: dict[str, float | int]
    scores: pd.DataFrame
    per_class: pd.DataFrame
    matrix: Ints
    pairs: pd.DataFrame
    outcomes: pd.DataFrame


def judge(predictions: pd.DataFrame, classes: Sequence[str], *, resamples: int, seed: int) -> Judgement:
    """Score a table of `predict`; intervals by `resamples` resamples of the test groups.

    Raises `UserError` when a side or a class has no photo.
    """
    val, test = side(predictions, "val", classes), side(predictions, "test", classes)
    for name, truth in (("val", val.truth), ("test", test.truth)):
        missing = sorted(set(classes) - {classes[i] for i in truth})
        if missing:
            raise UserError(f"no {name} photo of class {missing[0]!r}. Run 'dvc repro split'.")
    main, table = scoring.with_intervals(
        test.truth, test.predicted, test.group,
        classes=len(classes), resamples=resamples, seed=seed,
    )  # fmt: skip
    table.insert(0, "class", list(classes))
    chosen_by = scoring.main_scores(val.truth, val.predicted)
    matrix = scoring.confusion(test.truth, test.predicted, len(classes))
    return Judgement(
        metrics={
            **main,
            "val_accuracy": chosen_by["accuracy"],
            "val_macro_f1": chosen_by["macro_f1"],
            "test_photos": len(test.truth),
        },
        scores=all_scores(main, val, test),
        per_class=table,
        matrix=matrix,
        pairs=scoring.confused_pairs(matrix, classes),
        outcomes=pd.DataFrame(
            {
                "photo_id": test.rows["photo_id"],
                "group": test.group,
                "truth": test.truth,
                "prediction": test.predicted,
            }
        ),
    )


def all_scores(main: dict[str, float], val: Side, test: Side) -> pd.DataFrame:
    """Tabulate every score of the test photos: score, value, and the interval's ends where known."""
    temperature = scoring.fit_temperature(val.truth, val.probabilities)
    calibrated = scoring.soften(test.probabilities, temperature)
    further = {
        **scoring.further_scores(test.truth, test.probabilities),
        "temperature": temperature,
        "calibration_error_scaled": scoring.calibration_error(test.truth, calibrated),
        "log_loss_scaled": scoring.log_loss(test.truth, calibrated),
    }
    names = [name for name in main if not name.endswith(("_low", "_high"))]
    rows = [(name, main[name], main[f"{name}_low"], main[f"{name}_high"]) for name in names]
    rows += [(name, value, np.nan, np.nan) for name, value in further.items()]
    return pd.DataFrame(rows, columns=["score", "value", "low", "high"])


def confusion_table(matrix: Ints, classes: Sequence[str], model: str) -> pd.DataFrame:
    """Tabulate a confusion matrix for plots, in class order: model, actual, predicted, photos, share."""
    rows, columns = np.indices(matrix.shape)
    names = np.array(classes, dtype=object)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return pd.DataFrame(
        {
            "model": model,
            "actual": names[rows.ravel()],
            "predicted": names[columns.ravel()],
            "photos": matrix.ravel(),
            "share": share.ravel().round(4),
        }
    )


def worst_mistakes(test: Side, most: int) -> Ints:
    """Give the rows of at most `most` wrong predictions, the most confident first."""
    rows = np.arange(len(test.truth))
    margin = test.probabilities[rows, test.predicted] - test.probabilities[rows, test.truth]
    wrong = np.flatnonzero(test.predicted != test.truth)
    order = np.lexsort((test.rows["photo_id"].to_numpy()[wrong], -margin[wrong]))
    return wrong[order][:most]


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
