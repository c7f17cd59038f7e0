"""Seeded random order that depends on what a thing is, not on where it stands.

Adding photos to a table leaves the order of the old ones as it was, so that flips, caps and splits of a grown
folder stay as close to the earlier ones as they can.
"""

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def rank(keys: pd.Series, seed: int, purpose: str) -> NDArray[np.uint64]:
    """Give every key (text) a 64-bit number, pseudo-random in `seed` and `purpose`."""
    salt = hashlib.sha256(f"{purpose}:{seed}".encode()).hexdigest()[:16]
    hashes: NDArray[np.uint64] = pd.util.hash_array(
        keys.to_numpy(dtype=object), hash_key=salt, categorize=False
    )
    return hashes
