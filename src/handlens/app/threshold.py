"""From which confidence on the app names a class; below it, it says "not sure"."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from handlens.errors import UserError

LEAST_PHOTOS = 10  # on which a share of right answers is estimated
RARE = 0.02  # share of the right answers that may fall below the threshold for being unusually unsure
KEYS = 6  # columns of a table of predictions before the probabilities, see `handlens.manifest`


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The least confidence of an answer, the share of right answers from it on, the share of photos there."""

    value: float
    precision: float
    share: float


def of_predictions(predictions: pd.DataFrame, *, precision: float) -> Threshold:
    """Choose the threshold on the validation photos of a table of predictions."""
    val = predictions[predictions["split"] == "val"]
    if val.empty:
        raise UserError("the predictions hold no validation photos. Run 'dvc repro evaluate' again.")
    confidence = val.iloc[:, KEYS:].to_numpy(np.float64).max(axis=1)
    return choose(confidence, (val["truth"] == val["prediction"]).to_numpy(), precision=precision)


def choose(confidence: NDArray[np.float64], right: NDArray[np.bool_], *, precision: float) -> Threshold:
    """Find the least confidence from which on at least `precision` of the answers are right.

    `confidence` (N,) is the probability of each answer, 0 to 1, `right` (N,) whether it is true. Where no
    confidence is enough, it is the one that comes nearest. The threshold is no lower than what 98 % of the
    right answers reach: an answer below is unusual even where the model is mostly right.
    """
    order = np.argsort(-confidence, kind="stable")
    confidence, right = confidence[order], right[order]
    count = np.arange(1, len(right) + 1)
    share_right = np.cumsum(right) / count
    last_of_ties = np.append(confidence[1:] < confidence[:-1], True)
    allowed = np.flatnonzero(last_of_ties & (count >= min(LEAST_PHOTOS, len(right))))
    enough = allowed[share_right[allowed] >= precision]
    at = enough[-1] if len(enough) else allowed[share_right[allowed].argmax()]
    usual = np.quantile(confidence[right], RARE) if right.any() else 0.0
    value = max(float(confidence[at]), float(usual))
    sure = confidence >= value
    return Threshold(
        value=round(value, 4),
        precision=round(float(right[sure].mean()), 4),
        share=round(float(sure.mean()), 4),
    )
