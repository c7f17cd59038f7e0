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
