"""Cap large classes, or repeat the rows of small ones."""

from typing import Literal

import numpy as np
import pandas as pd

from handlens.sampling import rank

Method = Literal["none", "cap", "oversample"]


def balance(rows: pd.DataFrame, *, method: Method, max_count: int, seed: int) -> pd.DataFrame:
    """Return the rows with a column `copy`: 0, or 1, 2, … for repetitions made by over-sampling.

    `cap` keeps `max_count` rows of a larger class: originals before flips, in seeded order within both.
    `oversample` repeats the rows of a smaller class, each as often as the others give or take one, up to
    `max_count`; larger classes stay whole.
    """
    rows = rows.assign(copy=0)
    if method == "none":
        return rows
    place = place_in_class(rows, seed)
    if method == "cap":
        return rows[place < max_count].reset_index(drop=True)
    return oversample(rows, place, max_count)


def place_in_class(rows: pd.DataFrame, seed: int) -> "pd.Series[int]":
    """Number the rows of every class from 0: originals first, then flips, each in seeded order."""
    order = pd.DataFrame(
        {
            "label": rows["label"],
            "flip": rows["op"] != "none",
            "rank": rank(rows["photo_id"] + rows["op"], seed, "balance"),
        }
    ).sort_values(["flip", "rank"], kind="stable")
    return order.groupby("label").cumcount().reindex(rows.index)


def oversample(rows: pd.DataFrame, place: "pd.Series[int]", max_count: int) -> pd.DataFrame:
    """Repeat rows of classes below `max_count`; the first rows by place get the odd extra copy."""
    size = rows.groupby("label")["label"].transform("size")
    times = np.where(size < max_count, max_count // size + (place < max_count % size), 1)
    repeated = rows.loc[rows.index.repeat(times)]
    copy = repeated.groupby(level=0).cumcount().to_numpy()
    return repeated.assign(copy=copy).reset_index(drop=True)
