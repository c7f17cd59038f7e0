"""Fill up small classes with flips: rows, not pixels."""

import pandas as pd

from handlens.sampling import rank


def augment(verdict: pd.DataFrame, *, min_count: int | None, ops: list[str], seed: int) -> pd.DataFrame:
    """Return the kept photos (op `none`) and the flips of classes with fewer than `min_count` photos.

    A small class gets flips by the first of `ops` in seeded order, then by the next, until it holds
    `min_count` rows or every photo has been flipped every way.
    """
    kept = verdict.loc[verdict["status"] == "ok", ["photo_id", "path", "label", "slot"]]
    rows = [kept.assign(op="none")]
    for _, photos in kept.groupby("label", sort=True):
        missing = 0 if min_count is None else min_count - len(photos)
        for op in ops:
            if missing <= 0:
                break
            order = rank(photos["photo_id"], seed, f"augment {op}").argsort(kind="stable")
            chosen = photos.iloc[sorted(order[:missing])]
            rows.append(chosen.assign(op=op))
            missing -= len(chosen)
    return pd.concat(rows, ignore_index=True)
