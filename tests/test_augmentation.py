from typing import Any

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tvf
from textures import contract_of, split_table, squares

from handlens import augmentation, batches
from handlens.augmentation import Augment, Mix
from handlens.pixels import turn
from handlens.preprocessing import Preprocess

WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(8, 1)
OFF: dict[str, Any] = {"crop_scale": None, "color_jitter": None, "policy": None, "erasing": None}


def photos(size: int = 32, count: int = 8) -> np.ndarray:
    return squares(np.arange(count) % 3, size)


@pytest.mark.parametrize("store_size", [32, 48, 64])
def test_without_changes_training_sees_what_evaluation_sees(store_size: int) -> None:
    contract = contract_of(split_table(), store_size=store_size)
    pixels = torch.from_numpy(photos(store_size))
    seen = Augment(contract, **OFF)(pixels, WHOLE)
    torch.testing.assert_close(seen, Preprocess(contract)(pixels), atol=1e-4, rtol=0)
    assert seen.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("op", ["none", "hflip", "vflip"])
def test_a_flip_row_with_a_crop_is_that_crop_of_the_turned_photo(op: str) -> None:
    contract = contract_of(split_table())
    augment = Augment(contract, **{**OFF, "crop_scale": (0.3, 0.9)})
    ranges = batches.Crops((0.3, 0.9), (0.75, 1.33), hflip=True, vflip=True)
    crops = batches.draw_crops(np.random.default_rng(5), 8, ranges)
    ops = np.array([op] * 8)
    turned = torch.from_numpy(turn(photos().copy(), ops))
    by_row = augment(torch.from_numpy(photos()), torch.from_numpy(batches.turned(crops.copy(), ops)))
    torch.testing.assert_close(by_row, augment(turned, torch.from_numpy(crops)), atol=1e-4, rtol=0)


def test_a_crop_is_that_of_torchvision() -> None:
    images = torch.from_numpy(photos(64, 1)).permute(0, 3, 1, 2).float()
    crop = torch.tensor([[0.25, -0.25, 0.5, 0.5]])  # columns 24 to 56, rows 8 to 40
    want = tvf.resized_crop(images, 8, 24, 32, 32, [32, 32], antialias=False)
    torch.testing.assert_close(augmentation.cut(images, crop, 32), want, atol=1e-3, rtol=0)


def test_large_photos_are_reduced_before_the_crop_but_never_below_it() -> None:
    contract = contract_of(split_table(), store_size=64)
    assert Augment(contract, **OFF).source_size == 32
    assert Augment(contract, **{**OFF, "crop_scale": (0.15, 0.35)}).source_size == 64
    assert Augment(contract, **{**OFF, "crop_scale": (0.5, 1.0)}).source_size == 37


@pytest.mark.parametrize(
    "change",
    [
        {"color_jitter": (0.4, 0.4, 0.4, 0.1)},
        {"policy": "rand_augment"},
        {"policy": "trivial_augment"},
        {"erasing": 1.0},
    ],
)
def test_each_change_repeats_with_its_seed_and_differs_between_groups(change: dict[str, Any]) -> None:
    augment = Augment(contract_of(split_table()), **{**OFF, **change})
    pixels = torch.from_numpy(photos(count=1)).repeat(16, 1, 1, 1)
    crops = WHOLE[:1].repeat(16, 1)

    def draw(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        drawn: torch.Tensor = augment(pixels, crops)
        return drawn

    first = draw(1)
    assert first.shape == (16, 3, 32, 32)
    assert first.isfinite().all()
    assert torch.equal(first, draw(1))
    assert not torch.equal(first, draw(2))
    assert len({image.numpy().tobytes() for image in first}) > 1


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.2, None), (None, 1.0), (0.2, 1.0)])
def test_mixed_photos_carry_the_shares_of_their_classes(mixup: float | None, cutmix: float | None) -> None:
    torch.manual_seed(0)
    labels = torch.arange(8) % 3
    images = torch.nn.functional.one_hot(labels, 3).float()[:, :, None, None].expand(8, 3, 16, 16)
    mixed, targets = Mix(3, mixup=mixup, cutmix=cutmix)(images, labels)
    torch.testing.assert_close(mixed.mean((2, 3)), targets, atol=1e-6, rtol=0)
    assert ((targets > 0).sum(1) > 1).any()


def test_without_mixing_labels_stay_whole() -> None:
    images, labels = torch.zeros(2, 3, 4, 4), torch.tensor([0, 2])
    assert Mix(3, mixup=None, cutmix=None)(images, labels) == (images, labels)
