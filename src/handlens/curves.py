"""The curve of a training: a tidy CSV with two rows per epoch, on disk before the next epoch begins.

Columns: model, split (train or val), epoch (from 1), loss, accuracy.
"""

import csv
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from handlens.training import Epoch

COLUMNS = ("model", "split", "epoch", "loss", "accuracy")


class Append(Protocol):
    """Writes the rows of epochs through to the disk."""

    def __call__(self, epochs: Iterable[Epoch]) -> None:
        """Write their rows."""
        ...


@contextmanager
def curve(path: Path, model: str) -> Iterator[Append]:
    """Begin the file, replacing what is there; gives the function that appends an epoch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")

        def write(rows: Iterable[tuple[object, ...]]) -> None:
            writer.writerows(rows)
            file.flush()
            os.fsync(file.fileno())

        write([COLUMNS])
        yield lambda epochs: write(row for epoch in epochs for row in rows_of(model, epoch))


def rows_of(model: str, epoch: Epoch) -> list[tuple[object, ...]]:
    """Give the two rows of an epoch, numbers to six decimals."""
    return [
        (model, "train", epoch.epoch, f"{epoch.train_loss:.6f}", f"{epoch.train_accuracy:.6f}"),
        (model, "val", epoch.epoch, f"{epoch.val_loss:.6f}", f"{epoch.val_accuracy:.6f}"),
    ]
