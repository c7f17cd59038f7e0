"""Mean and standard deviation of channels from per-photo sums.

`scan` summed the uint8 values and their squares over every photo's content (padding excluded). Sums add, so
the exact statistics of any subset are a table operation, and flips have those of their photo.
"""

import numpy as np
import pandas as pd

from handlens.errors import UserError

SUMS = ["sum_r", "sum_g", "sum_b", "squares_r", "squares_g", "squares_b"]
Channels = tuple[float, float, float]


def add_sums(rows: pd.DataFrame, photos: pd.DataFrame) -> pd.DataFrame:
    """Join the sums of the photos table to `rows` by slot, with `pixels`, the number of content pixels."""
    stored = photos[photos["slot"] >= 0].set_index("slot")
    sums = stored.loc[rows["slot"], SUMS].reset_index(drop=True)
    area = stored["content_width"].astype(np.int64) * stored["content_height"].astype(np.int64)
    pixels = area.loc[rows["slot"]].to_numpy()
    return pd.concat([rows.reset_index(drop=True).assign(pixels=pixels), sums], axis=1)


def mean_std(rows: pd.DataFrame) -> tuple[Channels, Channels]:
    """Compute mean and std per channel in 0..1, from integer sums.

    Raises `UserError` when a channel is constant: such photos cannot be normalised.
    """
    # Python integers: squares of a million photos stay exact, which int64 and float64 do not promise
    n = int(rows["pixels"].sum())
    total = [int(rows[name].sum()) for name in SUMS[:3]]
    squares = [int(rows[name].sum()) for name in SUMS[3:]]
    variance = [(n * q - s * s) / (n * n) for s, q in zip(total, squares, strict=True)]
    if min(variance) <= 0:
        raise UserError(
            "all training photos have one and the same colour; there is nothing to learn. "
            "Look at the photos in data/raw."
        )
    red, green, blue = (s / n / 255 for s in total)
    std_red, std_green, std_blue = (v**0.5 / 255 for v in variance)
    return (red, green, blue), (std_red, std_green, std_blue)


def summary(rows: pd.DataFrame) -> dict[str, float | int]:
    """Flat metrics of all rows, for people; the contract holds the statistics of training photos alone."""
    mean, std = mean_std(rows)
    names = ("r", "g", "b")
    return {
        "rows": len(rows),
        **{f"mean_{name}": round(value, 6) for name, value in zip(names, mean, strict=True)},
        **{f"std_{name}": round(value, 6) for name, value in zip(names, std, strict=True)},
    }
