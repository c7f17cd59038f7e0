"""Does a file say what the trained model says? Measured on real test photos, class by name.

Class names, not numbers, are compared: a file whose names are in another order disagrees.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from handlens.contract import Contract
from handlens.errors import UserError
from handlens.scoring import calibration_error

Probabilities = NDArray[np.float32]  # (photos, classes)


@dataclass(frozen=True, kw_only=True)
class Parity:
    """A file against the trained model, over `photos` labelled photos."""

    photos: int
    agreement: float  # share of photos with the same top-1 class
    max_difference: float  # of one probability
    mean_difference: float  # mean over photos and classes
    accuracy: float  # of the file
    accuracy_low: float  # Wilson's 95 % interval
    accuracy_high: float
    accuracy_trained: float  # of the trained model
    calibration_change: float  # expected calibration error of the file, less the trained model's


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How far a file may be from the trained model."""

    min_agreement: float
    max_difference: float
    max_accuracy_drop: float


def by_name(probabilities: Probabilities, names: Sequence[str], wanted: Sequence[str]) -> Probabilities:
    """Order the columns, named `names`, as `wanted`.

    Raises `UserError` when the two do not hold the same names.
    """
    if set(names) != set(wanted) or len(names) != len(wanted):
        raise UserError(f"the classes {list(names)} are not those of the model, {list(wanted)}.")
    if probabilities.shape[1] != len(names):
        raise UserError(
            f"the file gives {probabilities.shape[1]} probabilities but names {len(names)} classes."
        )
    return probabilities[:, [list(names).index(name) for name in wanted]]


def differences(one: Probabilities, other: Probabilities) -> Probabilities:
    """Give the absolute differences; a value that is not a number counts as the largest there is, 1."""
    found: Probabilities = np.nan_to_num(np.abs(one - other), nan=1.0)
    return found


def largest_difference(one: Probabilities, other: Probabilities) -> float:
    """Give the largest difference of a probability."""
    return float(differences(one, other).max())


def compare(trained: Probabilities, exported: Probabilities, labels: NDArray[np.int64]) -> Parity:
    """Compare two predictions (N, C) of the same N >= 1 photos with class indices `labels` (N,)."""
    difference = differences(trained, exported)
    top, top_trained = exported.argmax(axis=1), trained.argmax(axis=1)
    right = int((top == labels).sum())
    interval = binomtest(right, len(labels)).proportion_ci(method="wilson")
    return Parity(
        photos=len(labels),
        agreement=float((top == top_trained).mean()),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        accuracy=right / len(labels),
        accuracy_low=float(interval.low),
        accuracy_high=float(interval.high),
        accuracy_trained=float((top_trained == labels).mean()),
        calibration_change=miscalibration(exported, labels) - miscalibration(trained, labels),
    )


def miscalibration(probabilities: Probabilities, labels: NDArray[np.int64]) -> float:
    """Give the expected calibration error; a value that is not a number counts as 0."""
    return calibration_error(labels, np.nan_to_num(probabilities).astype(np.float64))


def misses(parity: Parity, limits: Limits) -> list[str]:
    """Say, one sentence each, which limits a file misses; an empty list means that it may ship."""
    drop = parity.accuracy_trained - parity.accuracy
    found = []
    if parity.agreement < limits.min_agreement:
        found.append(f"agreement {parity.agreement:.4f} is below min_agreement {limits.min_agreement:g}")
    if parity.max_difference > limits.max_difference:
        found.append(
            f"a probability differs by {parity.max_difference:.2g}, "
            f"more than max_difference {limits.max_difference:g}"
        )
    if drop > limits.max_accuracy_drop:
        found.append(
            f"accuracy falls by {drop:.4f} to {parity.accuracy:.4f}, "
            f"more than max_accuracy_drop {limits.max_accuracy_drop:g}"
        )
    return found


def contract_misses(inside: Contract, ours: Contract) -> list[str]:
    """Say what the contract inside a file says differently from ours."""
    mine, theirs = ours.model_dump(), inside.model_dump()
    return [
        f"the file's contract says {key} {theirs[key]!r}, the trained model's {mine[key]!r}"
        for key in mine
        if mine[key] != theirs[key]
    ]
