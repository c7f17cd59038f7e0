"""Near-duplicate photos: copies that were resized, recompressed, mirrored or turned upside down.

Perceptual hashes that differ in a few bits make a candidate pair, found by multi-index hashing (Norouzi et
al., "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012), not by comparing all pairs; grey
thumbs decide. Photos that are connected by copies form a group.
"""

from collections.abc import Iterator

import faiss
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from handlens.fingerprints import FLIPS, Hashes, Thumbs, difference, flat

SURE = 0.9  # difference of thumbs up to which two photos are surely one; for the check of leakage
TIGHT = 1 / 3  # of the limit: a copy so close has the same copies
BLOCK = 256  # hashes per query of the index
PAIRS = 1 << 15  # pairs whose thumbs are compared at once

Ints = NDArray[np.int64]


def groups(
    content: "pd.Series[str]",
    hashes: Hashes,
    thumbs: Thumbs,
    readable: NDArray[np.bool_],
    *,
    distance: int,
    difference_limit: float,
) -> Ints:
    """Group N photos; returns for each the smallest row number of its group, its own when it is alone.

    `content` (N,) is the sha256 of the files ("" when unknown): equal ones always share a group. Of the
    `readable` ones `hashes` (N,) and `thumbs` (N, THUMB, THUMB) are compared: up to `distance` differing bits
    make a pair a candidate, a `difference` of thumbs up to `difference_limit` makes it a copy. Photos without
    any texture are compared by content only.
    """
    parent = first_rows(content)
    rows = np.flatnonzero(readable & (parent == np.arange(len(parent))) & ~flat(thumbs))
    settled = np.zeros(len(rows), bool)
    for a, b, flip in candidates(hashes[rows], distance, settled):
        _, down, across = FLIPS[flip]
        for start in range(0, len(a), PAIRS):
            part = slice(start, start + PAIRS)
            i, j, other = rows[a[part]], rows[b[part]], b[part]
            apart = roots(parent, i) != roots(parent, j)
            i, j, other = i[apart], j[apart], other[apart]
            found = difference(thumbs[i][:, ::down, ::across], thumbs[j])
            same = found <= difference_limit
            join(parent, i[same], j[same])
            settled[other[found <= difference_limit * TIGHT]] = True
    return roots(parent, np.arange(len(parent)))


def first_rows(content: "pd.Series[str]") -> Ints:
    """Give each row the first row of the same content, its own where the content is unknown."""
    rows = pd.Series(np.arange(len(content)), index=content.index)
    first = rows.groupby(content).transform("min")
    return first.where(content != "", rows).to_numpy(np.int64, copy=True)


def candidates(hashes: Hashes, distance: int, settled: NDArray[np.bool_]) -> Iterator[tuple[Ints, Ints, int]]:
    """Yield rows a, b and the number of the flip that brings hash a to within `distance` bits of hash b.

    A hash is cut into four parts of 16 bits: two hashes that differ in at most `distance` bits agree in one
    part up to distance // 4 bits. The index holds a table per part and tries these few changes.
    Each pair comes once, from its first row. The caller may mark later rows as `settled` on the way: they are
    so like a row that was looked up that they are not looked up themselves, but still found by others. This
    keeps bursts of one scene from comparing all their pairs.
    """
    index = faiss.IndexBinaryMultiHash(64, 4, 16)
    index.nflip = distance // 4
    index.add(as_bytes(hashes))
    for start in range(0, len(hashes), BLOCK):
        block = start + np.flatnonzero(~settled[start : start + BLOCK])
        for flip, (mask, _, _) in enumerate(FLIPS):
            ends, _, found = index.range_search(as_bytes(hashes[block] ^ mask), distance + 1)
            a = np.repeat(block, (ends[1:] - ends[:-1]).astype(np.int64))
            new = (found > a) | (settled[found] & (found != a))
            yield a[new], found[new], flip


def as_bytes(hashes: Hashes) -> NDArray[np.uint8]:
    """View hashes (N,) as bytes (N, 8), the form of faiss."""
    return hashes.astype("<u8").view(np.uint8).reshape(-1, 8)


def roots(parent: Ints, rows: Ints) -> Ints:
    """Follow rows to the roots of their groups, and shorten the ways."""
    found = parent[rows]
    while True:
        above = parent[found]
        if np.array_equal(above, found):
            parent[rows] = found
            return found
        found = above


def join(parent: Ints, first: Ints, second: Ints) -> None:
    """Unite groups pairwise; the smaller row is the root."""
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        while parent[a] != a:
            a = parent[a]
        while parent[b] != b:
            b = parent[b]
        parent[max(a, b)] = min(a, b)
