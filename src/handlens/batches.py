"""Training and validation batches from the pixel store, read ahead by a thread.

Everything random is a pure function of (seed, epoch, step): which photos a step holds, their crops and
flips, and the seed of what is drawn on the device. A training that was cut off goes on at any step without
a stored random state, and any number of processes sees the same photos in the same steps.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from handlens.errors import UserError
from handlens.pixels import PixelStore, turn

AHEAD = 2  # parts read ahead
ORDER, CROPS, DEVICE = 0, 1, 2  # purposes of random numbers

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Job = TypeVar("Job")
Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Rows:
    """Rows of the split table in arrays: pixel slots, class indices and turns, each (N,)."""

    slots: Integers
    labels: Integers
    ops: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.slots)

    def take(self, which: Integers) -> "Rows":
        """Choose rows by number."""
        return Rows(self.slots[which], self.labels[which], self.ops[which])


@dataclass(frozen=True)
class Crops:
    """Ranges of random crops and flips. Scale is the crop's share of the area, ratio its width / height."""

    scale: tuple[float, float] | None
    ratio: tuple[float, float]
    hflip: bool
    vflip: bool


@dataclass(frozen=True)
class Part:
    """What one device computes at once: a step's photos, or a share of them.

    `pixels` is uint8 (n, store, store, 3), `labels` int64 (n,), `crops` float32 (n, 4) as `draw_crops`
    gives them, `share` the part's photos / the step's photos.
    """

    pixels: Tensor
    labels: Tensor
    crops: Tensor
    seed: int
    share: float


def rows_of(table: pd.DataFrame, split: str, classes: tuple[str, ...]) -> Rows:
    """Take the rows of one side; the labels become indices of `classes`."""
    side = table[table["split"] == split]
    labels = pd.Index(classes).get_indexer(pd.Index(side["label"]))
    if len(side) == 0:
        raise UserError(f"data/split.csv has no {split} photos. Raise split.{split} or add photos.")
    if (labels < 0).any():
        stray = side["label"].to_numpy()[labels < 0][0]
        raise UserError(f"data/split.csv has a class {stray!r} that is not in the contract; run 'dvc repro'.")
    return Rows(side["slot"].to_numpy(np.int64), labels.astype(np.int64), side["op"].to_numpy(str))


def step_count(photos: int, batch_size: int) -> int:
    """Count the steps of an epoch: steps of equal size, at most `batch_size` (or 3) and at least 2 photos."""
    return max(1, min(-(-photos // batch_size), photos // 2))


def epoch_order(labels: Integers, *, seed: int, epoch: int, balanced: bool) -> Integers:
    """Order an epoch's rows (N,): each once, or drawn with replacement such that classes come equally."""
    random = np.random.default_rng([seed, ORDER, epoch])
    if not balanced:
        return random.permutation(len(labels))
    counts = np.bincount(labels)
    chance = 1 / counts[labels]
    return random.choice(len(labels), size=len(labels), p=chance / chance.sum())


def draw_crops(random: np.random.Generator, count: int, crops: Crops) -> Floats:
    """Draw (count, 4): centre x, centre y, half width, half height, in units where the photo is -1 to 1.

    A negative half width (height) flips. Area and log ratio are uniform (Szegedy et al., arXiv:1409.4842,
    section 6); a side that would leave the photo is cut to it.
    """
    width = height = np.ones(count)
    if crops.scale is not None:
        area = random.uniform(*crops.scale, count)
        ratio = np.exp(random.uniform(math.log(crops.ratio[0]), math.log(crops.ratio[1]), count))
        width, height = np.minimum(1, np.sqrt(area * ratio)), np.minimum(1, np.sqrt(area / ratio))
    x, y = (random.uniform(-1, 1, (2, count)) * (1 - np.stack([width, height]))).astype(np.float32)
    flips = np.where(random.random((2, count)) < 0.5, -1, 1)
    width = width * flips[0] if crops.hflip else width
    height = height * flips[1] if crops.vflip else height
    return np.stack([x, y, width, height], axis=1).astype(np.float32)


def turned(crops: Floats, ops: NDArray[np.str_]) -> Floats:
    """Combine the random crops with the rows' own flips: the crop is taken from the turned photo."""
    flip = np.stack([ops == "hflip", ops == "vflip"], axis=1)
    crops[:, :2] = np.where(flip, -crops[:, :2], crops[:, :2])
    crops[:, 2:] = np.where(flip, -crops[:, 2:], crops[:, 2:])
    return crops


@dataclass(frozen=True)
class TrainingBatches:
    """Yields the parts of training steps for one process.

    A step's photos are split into `parts` (processes x accumulation); this process computes those in `mine`.
    """

    store: PixelStore
    rows: Rows
    crops: Crops
    seed: int
    batch_size: int
    balanced: bool
    parts: int
    mine: range
    device: torch.device

    def __post_init__(self) -> None:
        smallest = len(self.rows) // self.steps // self.parts
        if smallest < 2:
            raise UserError(
                f"a step of {len(self.rows) // self.steps} photos (batch_size {self.batch_size}, "
                f"{len(self.rows)} training rows) cannot be shared by {self.parts} parts (processes x "
                "accumulate) of at least 2 photos. Raise batch_size, or lower accumulate or the processes."
            )

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return step_count(len(self.rows), self.batch_size)

    def epoch(self, number: int, first_step: int = 0) -> Iterator[Part]:
        """Yield this process's parts of epoch `number` (0, 1, …), from `first_step` on."""
        order = epoch_order(self.rows.labels, seed=self.seed, epoch=number, balanced=self.balanced)
        steps = enumerate(np.array_split(order, self.steps))
        jobs = (
            (number, step, which, part) for step, which in steps if step >= first_step for part in self.mine
        )
        return ahead(lambda job: self.load(*job), jobs)

    def load(self, epoch: int, step: int, which: Integers, part: int) -> Part:
        """Read one part of the step that holds the rows `which`."""
        random = np.random.default_rng([self.seed, CROPS, epoch, step])
        crops = draw_crops(random, len(which), self.crops)
        mine = np.array_split(np.arange(len(which)), self.parts)[part]
        rows = which[mine]
        state = np.random.SeedSequence([self.seed, DEVICE, epoch, step, part]).generate_state(1, np.uint64)
        return Part(
            pixels=to_device(self.store.take(self.rows.slots[rows]), self.device),
            labels=to_device(self.rows.labels[rows], self.device),
            crops=to_device(turned(crops[mine], self.rows.ops[rows]), self.device),
            seed=int(state[0] >> np.uint64(1)),
            share=len(mine) / len(which),
        )


def plain_batches(
    store: PixelStore, rows: Rows, batch_size: int, device: torch.device
) -> Iterator[tuple[slice, Tensor]]:
    """Yield (which rows, uint8 pixels (n, store, store, 3)) in order, without any random change."""

    def load(start: int) -> tuple[slice, Tensor]:
        which = slice(start, min(start + batch_size, len(rows)))
        return which, to_device(turn(store.take(rows.slots[which]), rows.ops[which]), device)

    return ahead(load, range(0, len(rows), batch_size))


def ahead(load: Callable[[Job], Loaded], jobs: Iterable[Job]) -> Iterator[Loaded]:
    """Yield `load(job)` for every job in order; a thread works `AHEAD` jobs in advance."""
    with ThreadPoolExecutor(1) as thread:
        pending: deque[Future[Loaded]] = deque()
        for job in jobs:
            pending.append(thread.submit(load, job))
            if len(pending) > AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def to_device(array: NDArray[np.generic], device: torch.device) -> Tensor:
    """Make a tensor on `device`; for a GPU by way of pinned memory, so that the copy does not wait."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
