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

from handlens.duplicates import same_photo
from handlens.pixels import PixelStore

THUMB = 16  # px, side of the grey squares that are compared first
NEAREST = 4  # photos of other sides that are then compared closely, per photo and flip
LEAST_CORRELATION = 0.9  # of two thumbs; copies of the worst quality reach 0.99
MOST_PHOTOS = 200_000  # beyond it a random part is compared, and checked_photos says so
MOST_CHECKED = 20_000
BLOCK = 256

Ints = NDArray[np.int64]
Thumbs = NDArray[np.float32]
FLIPS = {"none": (1, 1), "hflip": (1, -1), "vflip": (-1, 1), "both": (-1, -1)}


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
    thumbs = thumbnails(store, slot[pool])
    for a, b, flip in candidates(thumbs, side[pool], checked):
        first, second = store.take(slot[pool[[a, b]]])
        down, right = FLIPS[flip]
        if same_photo(first, second[::down, ::right]):
            leaked.add(int(pool[a]))
    others = len(pool) - np.bincount(side[pool])
    pairs = int(others[side[pool[checked]]].sum()) * len(FLIPS)
    return {"leakage": len(leaked), "checked_photos": len(checked), "checked_pairs": pairs}


def thumbnails(store: PixelStore, slots: Ints) -> Thumbs:
    """Shrink stored squares to grey ones of THUMB px (N, THUMB, THUMB), mean 0 and length 1."""
    thumbs = np.empty((len(slots), THUMB, THUMB), np.float32)
    for row, slot in enumerate(slots):
        grey = store.take(np.array([slot]))[0].mean(axis=2, dtype=np.float32)
        thumbs[row] = cv2.resize(grey, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    thumbs -= thumbs.mean(axis=(1, 2), keepdims=True)
    thumbs /= np.maximum(np.linalg.norm(thumbs, axis=(1, 2), keepdims=True), 1e-6)
    return thumbs


def candidates(thumbs: Thumbs, side: Ints, checked: Ints) -> Iterator[tuple[int, int, str]]:
    """Yield (checked row, row of another side, flip) for the nearest thumbs under every flip."""
    flat = thumbs.reshape(len(thumbs), -1)
    for start in range(0, len(checked), BLOCK):
        rows = checked[start : start + BLOCK]
        for flip, (down, right) in FLIPS.items():
            turned = thumbs[rows][:, ::down, ::right].reshape(len(rows), -1)
            likeness = turned @ flat.T
            likeness[side[rows][:, None] == side[None, :]] = -1
            nearest = np.argpartition(-likeness, min(NEAREST, len(flat) - 1), axis=1)[:, :NEAREST]
            for i, row in enumerate(rows):
                for other in nearest[i]:
                    if likeness[i, other] >= LEAST_CORRELATION:
                        yield int(row), int(other), flip
