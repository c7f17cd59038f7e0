"""The pixel store: uint8 squares packed by `scan`, read by everyone through memory maps.

A store is a folder of shards `00000.npy`, `00001.npy`, …, each uint8 (up to `SHARD`, size, size, 3), RGB. A
photo's `slot` counts through the shards: slot s lies in shard s // SHARD at row s % SHARD.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handlens.errors import UserError

SHARD = 4096

Pixels = NDArray[np.uint8]


def shard_path(folder: Path, number: int) -> Path:
    """Name the file of shard `number`."""
    return folder / f"{number:05d}.npy"


class PixelStore:
    """Read-only view of a folder of shards."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(folder.glob("*.npy"))
        if not paths:
            raise UserError(f"{folder} holds no pixels. Run 'dvc repro scan' to make them.")
        self.folder = folder
        self.shards: list[Pixels] = [np.load(path, mmap_mode="r") for path in paths]
        self.size: int = self.shards[0].shape[1]

    def __len__(self) -> int:
        return sum(len(shard) for shard in self.shards)

    def take(self, slots: NDArray[np.int64], out: Pixels | None = None) -> Pixels:
        """Copy the squares of `slots` (N,) into an array (N, size, size, 3), in that order."""
        if out is None:
            out = np.empty((len(slots), self.size, self.size, 3), np.uint8)
        shard_of = slots // SHARD
        for number in np.unique(shard_of):
            where = np.flatnonzero(shard_of == number)
            out[where] = self.shards[number][slots[where] % SHARD]
        return out


def turn(batch: Pixels, ops: NDArray[np.str_]) -> Pixels:
    """Apply each row's `op` (none, hflip, vflip) to `batch` (N, H, W, 3), in place."""
    horizontal = ops == "hflip"
    vertical = ops == "vflip"
    if horizontal.any():
        batch[horizontal] = batch[horizontal][:, :, ::-1]
    if vertical.any():
        batch[vertical] = batch[vertical][:, ::-1]
    return batch


def chunks(store: PixelStore, slots: NDArray[np.int64], batch_size: int) -> Iterator[tuple[slice, Pixels]]:
    """Yield (which rows, their pixels) in order; the last batch may be smaller."""
    for start in range(0, len(slots), batch_size):
        rows = slice(start, min(start + batch_size, len(slots)))
        yield rows, store.take(slots[rows])
