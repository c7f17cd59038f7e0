"""What copies of a photo have in common: a 64-bit perceptual hash and a grey thumb of 12 × 12 values.

Both are made of a photo's stored content. The hash holds the signs of the 8 × 8 lowest coefficients of a
cosine transform. Mirroring a photo changes the signs of the odd frequencies and no others, so the hash of
a flip is an exclusive or with a constant.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from handlens.photos import Pixels, resized

SIDE = 32  # px, of the grey square that is transformed
THUMB = 12  # px, of the grey thumb that decides
FRACTION = 128  # thumbs are stored as whole numbers of 1 / FRACTION grey values
FLAT = 1.0  # grey values; a thumb that varies less has nothing to compare
ROWS = 1 << 15  # thumbs that are looked at at once
EDGE = 0.015  # share of the local range of grey values that resampling may change

FREQUENCY = np.arange(64)
SIGN = np.uint64(1) << FREQUENCY.astype(np.uint64)
HFLIP = np.bitwise_or.reduce(SIGN[FREQUENCY % 8 % 2 == 1])
VFLIP = np.bitwise_or.reduce(SIGN[FREQUENCY // 8 % 2 == 1])
FLIPS = (  # what a flip does to a hash, and the steps that do it to a thumb
    (np.uint64(0), 1, 1),
    (HFLIP, 1, -1),
    (VFLIP, -1, 1),
    (HFLIP ^ VFLIP, -1, -1),
)

Hashes = NDArray[np.uint64]
Thumbs = NDArray[np.uint16]
Floats = NDArray[np.float32]


def phash(grey: Pixels) -> int:
    """Hash grey content (h, w): bit 8·v + u is the sign of the coefficient of frequency v down, u across."""
    waves = cv2.dct(resized(grey.astype(np.float32), SIDE, SIDE))[:8, :8].ravel()
    return int(SIGN[1:][waves[1:] > 0].sum(dtype=np.uint64))


def thumb(grey: Pixels) -> Thumbs:
    """Shrink grey content (h, w) to (THUMB, THUMB), in units of 1 / FRACTION grey values."""
    small = resized(grey.astype(np.float32), THUMB, THUMB)
    whole: Thumbs = np.rint(small * FRACTION).astype(np.uint16)
    return whole


def difference(first: Thumbs, second: Thumbs) -> Floats:
    """Compare thumbs (N, THUMB, THUMB) pair by pair, in grey values.

    The sixth root of the mean sixth power of the difference: near the largest difference anywhere, so
    that two photos that differ in one spot differ. Where values change much from one to the next, resampling
    and recompression change them as well: there a difference counts less, by 1 / sqrt(1 + (EDGE · range)²)
    with the range of the neighbouring 3 × 3 values. Copies of real photos at half the size and JPEG quality
    40 stay below 1.0, different solar cells of one batch begin at 1.3.
    """
    a, b = as_grey(first), as_grey(second)
    doubt = 1 + (np.float32(EDGE / 2) * (local_range(a) + local_range(b))) ** 2
    root: Floats = np.mean((a - b) ** 6 / doubt**3, axis=(1, 2)) ** np.float32(1 / 6)
    return root


def as_grey(thumbs: Thumbs) -> Floats:
    """Give thumbs in grey values."""
    return (thumbs / np.float32(FRACTION)).astype(np.float32)


def local_range(values: Floats) -> Floats:
    """Give the largest minus the smallest value in every 3 × 3 neighbourhood of images (N, h, w)."""
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)), mode="edge")
    high, low = padded, padded
    for axis in (1, 2):
        parts = [np.take(high, range(k, high.shape[axis] - 2 + k), axis) for k in range(3)]
        high = np.maximum(np.maximum(parts[0], parts[1]), parts[2])
        parts = [np.take(low, range(k, low.shape[axis] - 2 + k), axis) for k in range(3)]
        low = np.minimum(np.minimum(parts[0], parts[1]), parts[2])
    return high - low


def flat(thumbs: Thumbs) -> NDArray[np.bool_]:
    """Tell which thumbs hold no texture; in blocks, since the thumbs may be a file larger than memory."""
    parts = [
        thumbs[start : start + ROWS].std(axis=(1, 2), dtype=np.float32) < FLAT * FRACTION
        for start in range(0, len(thumbs), ROWS)
    ]
    return np.concatenate([np.zeros(0, bool), *parts])
