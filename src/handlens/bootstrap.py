"""95 % intervals for scores, by resampling whole groups of photos.

Near-duplicates say the same thing twice, so what is drawn again and again is the group, not the photo.
Scores of all resamples come from three tables of counts per group and class, as matrix products.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

LEVEL = 0.95
CHUNK = 64  # resamples at once: keeps the weights of 20,000 groups at 10 MB


@dataclass(frozen=True)
class GroupCounts:
    """Photos per group and class, each (groups, classes): rightly predicted, predicted, actual."""

    right: Floats
    predicted: Floats
    actual: Floats


def count_groups(truth: Ints, predicted: Ints, group: Ints, classes: int) -> GroupCounts:
    """Count photos by group; `truth` and `predicted` (N,) are class indices, `group` (N,) any ids."""
    ids, rows = np.unique(group, return_inverse=True)
    shape = (len(ids), classes)
    counts = GroupCounts(np.zeros(shape), np.zeros(shape), np.zeros(shape))
    hit = truth == predicted
    np.add.at(counts.right, (rows[hit], truth[hit]), 1)
    np.add.at(counts.predicted, (rows, predicted), 1)
    np.add.at(counts.actual, (rows, truth), 1)
    return counts


def scores(right: Floats, predicted: Floats, actual: Floats) -> dict[str, Floats]:
    """Score R resamples from their counts, each (R, classes).

    Gives accuracy, macro_precision, macro_recall and macro_f1 (R,), and precision, recall and f1 per
    class (R, classes). A class without photos in a resample is NaN there and left out of the means;
    one that is never predicted has precision 0. Equal to scikit-learn's scores over `labels` =
    the classes present, `zero_division` = 0.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = right / actual
        precision = np.where(predicted > 0, right / predicted, 0.0)
        f1 = 2 * right / (predicted + actual)
        accuracy = right.sum(axis=1) / actual.sum(axis=1)
    absent = actual == 0
    per_class = {"precision": precision, "recall": recall, "f1": f1}
    for values in per_class.values():
        values[absent] = np.nan
    present = np.maximum((~absent).sum(axis=1), 1)
    macro = {f"macro_{name}": np.nansum(values, axis=1) / present for name, values in per_class.items()}
    return {"accuracy": accuracy, **macro, **per_class}


def resample(counts: GroupCounts, *, resamples: int, seed: int) -> dict[str, Floats]:
    """Draw the groups anew `resamples` times, with replacement, and score each draw."""
    rng = np.random.default_rng(seed)
    parts = []
    for start in range(0, resamples, CHUNK):
        weights = draw(rng, len(counts.actual), min(CHUNK, resamples - start))
        parts.append(scores(weights @ counts.right, weights @ counts.predicted, weights @ counts.actual))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def draw(rng: np.random.Generator, groups: int, times: int) -> Floats:
    """Count how often each group is drawn, (times, groups)."""
    drawn = rng.integers(0, groups, (times, groups))
    return np.stack([np.bincount(row, minlength=groups) for row in drawn]).astype(np.float64)


def leave_one_out(counts: GroupCounts) -> dict[str, Floats]:
    """Score the photos without one group, for every group: (groups,) or (groups, classes)."""
    return scores(*(table.sum(axis=0) - table for table in tables(counts)))


def observed(counts: GroupCounts) -> dict[str, Floats]:
    """Score all photos; the leading axis of `scores` is gone."""
    found = scores(*(table.sum(axis=0, keepdims=True) for table in tables(counts)))
    return {name: values[0] for name, values in found.items()}


def tables(counts: GroupCounts) -> tuple[Floats, Floats, Floats]:
    """List the tables in the order that `scores` takes them."""
    return counts.right, counts.predicted, counts.actual


def intervals(counts: GroupCounts, *, resamples: int, seed: int) -> dict[str, tuple[Floats, Floats]]:
    """Give the ends of the 95 % interval of every score in `scores`, () or (classes,) each."""
    drawn = resample(counts, resamples=resamples, seed=seed)
    point, without = observed(counts), leave_one_out(counts)
    groups = len(counts.actual)
    groups_of_class = (counts.actual > 0).sum(axis=0)
    ends = {}
    for name, values in drawn.items():
        if values.ndim == 1:
            ends[name] = as_arrays(interval(values, float(point[name]), without[name], groups))
        else:
            columns = range(values.shape[1])
            pairs = [
                interval(values[:, c], point[name][c], without[name][:, c], groups_of_class[c])
                for c in columns
            ]
            ends[name] = as_arrays(tuple(zip(*pairs, strict=True)))
    return ends


def as_arrays(ends: Any) -> tuple[Floats, Floats]:
    """Turn (low, high) into arrays."""
    return np.asarray(ends[0], np.float64), np.asarray(ends[1], np.float64)


def interval(values: Floats, point: float, without: Floats, groups: int) -> tuple[float, float]:
    """Give the ends of the 95 % interval of a score that lies in 0..1.

    `values` (R,) are the scores of the resamples, `without` (G,) those with one group left out, `groups`
    is the number of groups that the score rests on. Bias-corrected and accelerated (Efron 1987,
    "Better Bootstrap Confidence Intervals"), with levels widened for few groups (Hesterberg 2015,
    "What Teachers Should Know About the Bootstrap", section 5.3). A score that no resample moves away
    from 0 or 1 gets the exact bound of Clopper and Pearson (1934) for `groups` trials.
    """
    values, without = values[~np.isnan(values)], without[~np.isnan(without)]
    if np.isnan(point) or len(values) == 0:
        return math.nan, math.nan
    if values.min() == values.max():
        return unmoved(float(point), groups)
    below = ((values < point).mean() + (values <= point).mean()) / 2
    bias = norm.ppf(np.clip(below, 1e-4, 1 - 1e-4))
    pull = without.mean() - without if len(without) else without
    spread = (pull**2).sum()
    skew = (pull**3).sum() / (6 * spread**1.5) if spread > 0 else 0.0
    n = max(groups, 2)
    z = t.ppf((1 - LEVEL) / 2, n - 1) * math.sqrt(n / (n - 1))
    levels = [norm.cdf(bias + (bias + end) / (1 - skew * (bias + end))) for end in (z, -z)]
    low, high = np.quantile(values, levels)
    return float(min(low, point)), float(max(high, point))


def unmoved(point: float, groups: int) -> tuple[float, float]:
    """Bound a score that is the same in every resample."""
    margin = ((1 - LEVEL) / 2) ** (1 / max(groups, 1))
    return (margin, 1.0) if point == 1 else (0.0, 1 - margin) if point == 0 else (point, point)
