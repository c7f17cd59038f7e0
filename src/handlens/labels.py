"""Suspected label errors, by confident learning: Northcutt et al. 2021, arXiv:1911.00068, through cleanlab.

The predictions must come from a model that was not trained on these photos.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues

from handlens import evaluation

COLUMNS = ["photo_id", "path", "split", "label", "prediction", "label_probability", "prediction_probability"]


def suspects(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """List the photos of a table of `evaluation.predict` whose label is suspect, the most suspect first.

    Confident learning estimates how many photos of each class belong to each other class; so many, those
    with the clearest predictions, are listed (pruning by noise rate). The order is by normalized margin, the
    probability of the label less that of the prediction. Every class needs a photo. Columns: `COLUMNS`.
    """
    unseen = evaluation.as_arrays(predictions, classes)
    listed = find_label_issues(
        unseen.truth,
        unseen.probabilities,
        filter_by="prune_by_noise_rate",
        return_indices_ranked_by="normalized_margin",
        n_jobs=1,
    )
    found = unseen.probabilities[listed]
    rows: pd.DataFrame = unseen.rows.iloc[listed].reset_index(drop=True)
    n = np.arange(len(listed))
    table = rows.rename(columns={"truth": "label"}).assign(
        label_probability=found[n, unseen.truth[listed]].astype(np.float32),
        prediction_probability=found[n, unseen.predicted[listed]].astype(np.float32),
    )
    return table[COLUMNS]
