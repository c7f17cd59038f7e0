"""Scores of predicted probabilities, through scikit-learn; 95 % intervals through `bootstrap`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from handlens import bootstrap

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BINS = 15  # of confidence, as in Guo et al. 2017
GRID = np.linspace(0, 1, 41)  # where curves are sampled
TINY = 1e-12  # least probability inside a logarithm


def main_scores(truth: Ints, predicted: Ints) -> dict[str, float]:
    """Score class indices (N,): accuracy and the means over classes of precision, recall and F1.

    A class that is never predicted has precision 0.
    """
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        truth, predicted, average="macro", zero_division=0
    )
    return {
        "accuracy": float(sk.accuracy_score(truth, predicted)),
        "macro_precision": float(precision),
        "macro_recall": float(recall),
        "macro_f1": float(f1),
    }


def with_intervals(
    truth: Ints, predicted: Ints, group: Ints, *, classes: int, resamples: int, seed: int
) -> tuple[dict[str, float], pd.DataFrame]:
    """Score class indices (N,) and give each score its 95 % interval.

    Returns the main scores with `_low` and `_high` beside each, and a table with a row per class:
    precision, recall, f1, each with its interval, and support (photos).
    """
    counts = bootstrap.count_groups(truth, predicted, group, classes)
    ends = bootstrap.intervals(counts, resamples=resamples, seed=seed)
    flat: dict[str, float] = {}
    for name, value in main_scores(truth, predicted).items():
        low, high = ends[name]
        flat |= {name: value, f"{name}_low": float(low), f"{name}_high": float(high)}
    values = sk.precision_recall_fscore_support(truth, predicted, labels=np.arange(classes), zero_division=0)
    table: dict[str, NDArray[np.generic]] = {}
    for name, column in zip(("precision", "recall", "f1"), values[:3], strict=True):
        table |= {name: column, f"{name}_low": ends[name][0], f"{name}_high": ends[name][1]}
    return flat, pd.DataFrame({**table, "support": values[3]})


def confusion(truth: Ints, predicted: Ints, classes: int) -> Ints:
    """Count photos by actual class (row) and predicted class (column)."""
    matrix: Ints = sk.confusion_matrix(truth, predicted, labels=np.arange(classes))
    return matrix


def further_scores(truth: Ints, probabilities: Floats) -> dict[str, float]:
    """Score probabilities (N, classes) in more ways; every class needs a photo.

    Areas under curves are means over classes of one class against the rest.
    """
    predicted = probabilities.argmax(axis=1)
    classes = probabilities.shape[1]
    labels = np.arange(classes)
    weighted = sk.precision_recall_fscore_support(truth, predicted, average="weighted", zero_division=0)
    actual = truth[:, None] == labels
    scores = {
        "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted),
        **dict(zip(("weighted_precision", "weighted_recall", "weighted_f1"), weighted, strict=False)),
        "cohen_kappa": sk.cohen_kappa_score(truth, predicted, labels=labels),
        "log_loss": log_loss(truth, probabilities),
        "roc_auc": sk.roc_auc_score(actual, probabilities, average="macro"),
        "average_precision": sk.average_precision_score(actual, probabilities, average="macro"),
        "calibration_error": calibration_error(truth, probabilities),
    }
    if classes > 3:
        scores["top3_accuracy"] = sk.top_k_accuracy_score(truth, probabilities, k=3, labels=labels)
    return {name: float(value) for name, value in scores.items()}


def log_loss(truth: Ints, probabilities: Floats) -> float:
    """Mean negative logarithm (nats) of the probability given to the truth."""
    safe = np.clip(probabilities.astype(np.float64), TINY, None)
    safe /= safe.sum(axis=1, keepdims=True)  # float32 softmax sums to one within 1e-7 only
    return float(sk.log_loss(truth, safe, labels=np.arange(safe.shape[1])))


def reliability(truth: Ints, probabilities: Floats) -> pd.DataFrame:
    """Compare confidence with accuracy in 15 equal bins of confidence; empty bins are left out.

    Columns: confidence and accuracy (means in the bin), photos.
    """
    confidence = probabilities.max(axis=1).clip(0, 1)
    right = truth == probabilities.argmax(axis=1)
    accuracy, mean_confidence = calibration_curve(right, confidence, n_bins=BINS)
    edges = np.linspace(0, 1, BINS + 1)
    bins = np.bincount(np.searchsorted(edges[1:-1], confidence), minlength=BINS)
    return pd.DataFrame({"confidence": mean_confidence, "accuracy": accuracy, "photos": bins[bins > 0]})


def calibration_error(truth: Ints, probabilities: Floats) -> float:
    """Expected calibration error (Guo et al. 2017, equation 3): 0 is honest, 1 is worst."""
    bins = reliability(truth, probabilities)
    gap = (bins["confidence"] - bins["accuracy"]).abs()
    return float((gap * bins["photos"]).sum() / bins["photos"].sum())


def fit_temperature(truth: Ints, probabilities: Floats) -> float:
    """Find the temperature that makes validation log loss least (Guo et al. 2017, section 4.2).

    Above 1: the network is too sure of itself. Searched between 0.05 and 20.
    """
    found = minimize_scalar(
        lambda power: log_loss(truth, soften(probabilities, float(np.exp(power)))),
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def soften(probabilities: Floats, temperature: float) -> Floats:
    """Divide the logits behind `probabilities` (N, classes) by `temperature`."""
    logits = np.log(np.clip(probabilities.astype(np.float64), TINY, None)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    softened: Floats = powers / powers.sum(axis=1, keepdims=True)
    return softened


def precision_recall(truth: Ints, probabilities: Floats, classes: Sequence[str]) -> pd.DataFrame:
    """Sample precision-recall curves at `GRID` recalls: curve, kind, recall, precision.

    `kind` is `class` (one class against the rest), `micro` (all decisions pooled) or `macro` (mean of the
    classes' precisions at each recall). Between thresholds the best precision at that recall or more holds.
    """
    sampled = {}
    for name, actual, score in one_against_rest(truth, probabilities, classes):
        precision, recall, _ = sk.precision_recall_curve(actual, score)
        best = np.maximum.accumulate(precision)  # thresholds rise, so recall falls along the arrays
        sampled[name] = best[::-1][np.searchsorted(recall[::-1], GRID, side="left")]
    return curve_table(sampled, "recall", "precision")


def roc(truth: Ints, probabilities: Floats, classes: Sequence[str]) -> pd.DataFrame:
    """Sample ROC curves at `GRID` false positive rates: curve, kind, false_positive_rate, recall."""
    sampled = {}
    for name, actual, score in one_against_rest(truth, probabilities, classes):
        false_rate, true_rate, _ = sk.roc_curve(actual, score)
        sampled[name] = np.interp(GRID, false_rate, true_rate)
    return curve_table(sampled, "false_positive_rate", "recall")


def one_against_rest(
    truth: Ints, probabilities: Floats, classes: Sequence[str]
) -> list[tuple[str | None, NDArray[np.bool_], Floats]]:
    """List the yes-or-no problems: (class name, truth, score) of each class, and None for all pooled."""
    actual = truth[:, None] == np.arange(len(classes))
    each = [(name, actual[:, i], probabilities[:, i]) for i, name in enumerate(classes)]
    return [*each, (None, actual.ravel(), probabilities.ravel())]


def curve_table(sampled: dict[str | None, Floats], x: str, y: str) -> pd.DataFrame:
    """Put curves sampled at `GRID` below each other; the mean of the classes is added."""
    each = {name: values for name, values in sampled.items() if name is not None}
    curves = [("macro", "macro", np.mean(list(each.values()), axis=0))]
    curves += [("micro", "micro", sampled[None]), *((name, "class", each[name]) for name in each)]
    parts = [
        pd.DataFrame({"curve": name, "kind": kind, x: GRID, y: values.round(5)})
        for name, kind, values in curves
    ]
    return pd.concat(parts, ignore_index=True)


def confused_pairs(matrix: Ints, classes: Sequence[str]) -> pd.DataFrame:
    """List the off-diagonal counts that are not zero, largest first: actual, predicted, photos, share.

    `share` is of the actual class's photos.
    """
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    actual, predicted = np.nonzero(wrong)
    photos = wrong[actual, predicted]
    table = pd.DataFrame(
        {
            "actual": [classes[i] for i in actual.tolist()],
            "predicted": [classes[i] for i in predicted.tolist()],
            "photos": photos,
            "share": np.round(photos / matrix.sum(axis=1)[actual], 4),
        }
    )
    order = np.lexsort((predicted, actual, -photos))
    return table.iloc[order].reset_index(drop=True)
