"""Real photos for the zoo's tests: crops of scikit-learn's two sample photos, a temple and a flower."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_sample_image
from torch import Tensor

CROP = 160  # px, cut from the 427 x 640 photos at eight places each


@pytest.fixture(scope="session")
def photos() -> Tensor:
    """16 normalised crops (16, 3, 160, 160), eight of each photo, alternating."""
    crops = []
    for row in (20, 200):
        for column in (0, 160, 320, 470):
            for name in ("china.jpg", "flower.jpg"):
                crop = load_sample_image(name)[row : row + CROP, column : column + CROP]
                crops.append(torch.tensor(crop).permute(2, 0, 1) / 255)
    batch = torch.stack(crops)
    return (batch - batch.mean((0, 2, 3), keepdim=True)) / batch.std((0, 2, 3), keepdim=True)


@pytest.fixture(scope="session")
def labels() -> Tensor:
    """0 for the temple, 1 for the flower."""
    return torch.tensor([0, 1] * 8)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks are fastest on one thread, and then do not disturb their neighbours."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def at(photos: Tensor):
    """Return a function that gives the photos at a side in px."""
    return lambda size: F.interpolate(photos, size=size, mode="bilinear", antialias=True)
