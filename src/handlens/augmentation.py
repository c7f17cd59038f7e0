"""Random changes of a training batch, computed on the device for all its photos at once."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import v2

from handlens.contract import Contract
from handlens.preprocessing import Preprocess

GROUP = 4  # photos that share one draw of a torchvision transform

Policy = Literal["rand_augment", "trivial_augment"]
Transform = Callable[[Tensor], Tensor]
POLICIES: dict[Policy, Callable[[], Transform]] = {
    "rand_augment": v2.RandAugment,
    "trivial_augment": v2.TrivialAugmentWide,
}


class Augment(nn.Module):
    """uint8 (N, store, store, 3) RGB and crops (N, 4) to normalised float32 (N, 3, input, input).

    Crops and flips are drawn per photo (`batches.draw_crops`) and cut out by one bilinear sampling of the
    whole batch; without crops, squares are only flipped. Photos larger than needed are first reduced with
    antialiasing, so that sampling neither skips pixels nor invents them. Colour changes and erasing come from
    torchvision, which draws once per call: every `GROUP` photos share a draw.
    """

    def __init__(
        self,
        contract: Contract,
        *,
        crop_scale: tuple[float, float] | None,
        color_jitter: tuple[float, float, float, float] | None,
        policy: Policy | None,
        erasing: float | None,
    ) -> None:
        super().__init__()
        self.preprocess = Preprocess(contract)
        self.input_size = contract.input_size
        self.crop = crop_scale is not None
        area = 1.0 if crop_scale is None else sum(crop_scale) / 2
        self.source_size = min(contract.store_size, round(contract.input_size / area**0.5))
        self.reduce = self.source_size != contract.store_size
        self.jitter = None if color_jitter is None else v2.ColorJitter(*color_jitter)
        self.policy = None if policy is None else POLICIES[policy]()
        self.erase = None if erasing is None else v2.RandomErasing(erasing)

    def forward(self, pixels: Tensor, crops: Tensor) -> Tensor:
        """Turn a batch of stored squares into the network's input, each photo changed at random."""
        if not self.crop:
            pixels = flipped(pixels, crops)
        x = pixels.permute(0, 3, 1, 2).float()
        if self.reduce:
            x = F.interpolate(x, size=(self.source_size,) * 2, mode="bilinear", antialias=True)
        if self.crop:
            x = cut(x, crops, self.input_size)
        if self.jitter is not None:
            x = in_groups(self.jitter, x / 255) * 255
        if self.policy is not None:
            x = in_groups(self.policy, x.round().to(torch.uint8)).float()
        x = x.mul_(self.preprocess.scale).add_(self.preprocess.shift)
        if self.erase is not None:
            x = in_groups(self.erase, x)
        return x.contiguous(memory_format=torch.channels_last)


def cut(images: Tensor, crops: Tensor, size: int) -> Tensor:
    """Sample the `crops` (N, 4: centre x and y, signed half width and height) as (N, C, size, size)."""
    steps = torch.arange(1 - size, size, 2, device=images.device, dtype=images.dtype) / size
    grid = images.new_empty((len(images), size, size, 2))
    grid[..., 0] = (crops[:, 0:1] + crops[:, 2:3] * steps)[:, None, :]
    grid[..., 1] = (crops[:, 1:2] + crops[:, 3:4] * steps)[:, :, None]
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def flipped(pixels: Tensor, crops: Tensor) -> Tensor:
    """Flip those (N, H, W, 3) whose crop (N, 4) has a negative half width or height."""
    across, down = (crops[:, 2:, None, None, None] < 0).unbind(1)
    pixels = torch.where(across, pixels.flip(2), pixels)
    return torch.where(down, pixels.flip(1), pixels)


def in_groups(transform: Transform, images: Tensor) -> Tensor:
    """Apply a transform to every `GROUP` photos, each time with a new draw."""
    return torch.cat([transform(group) for group in torch.split(images, GROUP)])


class Mix(nn.Module):
    """Mixup (arXiv:1710.09412) or cutmix (arXiv:1905.04899), by torchvision; with both, one is drawn.

    Takes images (N, 3, H, W) and class indices (N,), gives images and class shares (N, classes).
    """

    def __init__(self, num_classes: int, *, mixup: float | None, cutmix: float | None) -> None:
        super().__init__()
        ways: list[Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = []
        if mixup is not None:
            ways.append(v2.MixUp(alpha=mixup, num_classes=num_classes))
        if cutmix is not None:
            ways.append(v2.CutMix(alpha=cutmix, num_classes=num_classes))
        self.ways = ways

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mix every photo with its neighbour in the batch; without a way, leave all as it is."""
        if not self.ways:
            return images, labels
        chosen = int(torch.randint(len(self.ways), ()))
        return self.ways[chosen](images, labels)
