"""Prove that no photo, no mirror image of it and no copy of it is on two sides: look, do not trust the split.

`scan` finds near-duplicates through an index of hashes, and `split` keeps their groups together. This check
uses neither the index nor the groups: it compares the stored pixels of validation and test photos with those
of the photos on other sides, exhaustively and under all four flips, and the files' contents by sha256.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from handlens import fingerprints
from handlens.duplicates import SURE
from handlens.pixels import PixelStore, chunks

SIDE = 16  # px, of the grey squares that are compared first
NEAREST = 4  # photos of other sides that are then compared closely, per photo and flip
LEAST_CORRELATION = 0.9  # of two of them; copies of the worst quality reach 0.99
MOST_PHOTOS = 200_000  # beyond it a random part is compared, and checked_photos says so
MOST_CHECKED = 20_000
BLOCK = 256

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
FLIPS = ((1, 1), (1, -1), (-1, 1), (-1, -1))  # steps down and across


def measure(sides: pd.DataFrame, sha256: "pd.Series[str]", store: PixelStore, seed: int) -> dict[str, int]:
    """Count validation and test photos that are on another side as well.

    `sides` is the split table, `sha256` the content of each slot. Returns `leakage` (0 must come out),
    `checked_photos` of validation and test, and `checked_pairs`, flips included.
    """
    photos = sides.drop_duplicates("slot")
    slot = photos["slot"].to_numpy(np.int64)
    side = pd.Categorical(photos["split"]).codes.astype(np.int64)
    held_out = (photos["split"] != "train").to_numpy()
    content = pd.Series(side).groupby(sha256.loc[slot].to_numpy())
    leaked = set(np.flatnonzero(held_out & (content.transform("nunique") > 1).to_numpy()).tolist())
    random = np.random.default_rng(seed)
    pool = np.sort(random.permutation(len(slot))[:MOST_PHOTOS])
    checked = np.flatnonzero(held_out[pool])[:MOST_CHECKED]
    small, thumbs = shrunk(store, slot[pool])
    for a, b, (down, right) in candidates(small, side[pool], checked):
        same = fingerprints.difference(thumbs[a], thumbs[b][:, ::down, ::right]) <= SURE
        leaked.update(pool[a[same]].tolist())
    others = len(pool) - np.bincount(side[pool])
    pairs = int(others[side[pool[checked]]].sum()) * len(FLIPS)
    return {"leakage": len(leaked), "checked_photos": len(checked), "checked_pairs": pairs}


def shrunk(store: PixelStore, slots: Ints) -> tuple[Floats, fingerprints.Thumbs]:
    """Shrink stored squares: to grey ones (N, SIDE, SIDE) of mean 0 and length 1, and to thumbs."""
    small = np.empty((len(slots), SIDE, SIDE), np.float32)
    thumbs = np.empty((len(slots), fingerprints.THUMB, fingerprints.THUMB), np.uint16)
    for rows, squares in chunks(store, slots, BLOCK):
        greys = [cv2.cvtColor(square, cv2.COLOR_RGB2GRAY) for square in squares]
        small[rows] = [cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for grey in greys]
        thumbs[rows] = [fingerprints.thumb(grey) for grey in greys]
    small -= small.mean(axis=(1, 2), keepdims=True)
    small /= np.maximum(np.linalg.norm(small, axis=(1, 2), keepdims=True), 1e-6)
    return small, thumbs


def candidates(small: Floats, side: Ints, checked: Ints) -> Iterator[tuple[Ints, Ints, tuple[int, int]]]:
    """Yield checked rows, rows of other sides and the flip that brings the second near the first."""
    flat = small.reshape(len(small), -1)
    for start in range(0, len(checked), BLOCK):
        rows = checked[start : start + BLOCK]
        for down, right in FLIPS:
            turned = small[rows][:, ::down, ::right].reshape(len(rows), -1)
            likeness = turned @ flat.T
            likeness[side[rows][:, None] == side[None, :]] = -1
            nearest = np.argpartition(-likeness, min(NEAREST, len(flat) - 1), axis=1)[:, :NEAREST]
            i, k = np.nonzero(np.take_along_axis(likeness, nearest, axis=1) >= LEAST_CORRELATION)
            yield rows[i], nearest[i, k], (down, right)
