"""Residual Attention Network, Wang et al. 2017, arXiv:1704.06904, wired as the authors' prototxt."""

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn


class Unit(nn.Module):
    """Pre-activation bottleneck: x + f(x), or projection(activation(x)) + f(x) where the shape changes."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        middle = after // 4
        self.activate = activation(before)
        self.branch = nn.Sequential(
            nn.Conv2d(before, middle, 1, bias=False),
            *activation(middle),
            nn.Conv2d(middle, middle, 3, stride, 1, bias=False),
            *activation(middle),
            nn.Conv2d(middle, after, 1, bias=False),
        )
        self.project = None
        if stride != 1 or before != after:
            self.project = nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the shortcut."""
        active = self.activate(x)
        shortcut = x if self.project is None else self.project(active)
        total: Tensor = shortcut + self.branch(active)
        return total


def activation(channels: int) -> nn.Sequential:
    """Batch norm, ReLU (not in place: the shortcut needs the input)."""
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())


class Attention(nn.Module):
    """A trunk T weighed by a mask M that saw a wider region: (1 + M) * T (section 3, figure 2).

    The mask goes `levels` steps down and up again. On its way up every level adds unit(level) once; at
    the module's own size nothing is added. p = 1, t = 2, r = 1 units.
    """

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        self.before = Unit(channels, channels)
        self.trunk = nn.Sequential(Unit(channels, channels), Unit(channels, channels))
        self.down = nn.ModuleList([Unit(channels, channels) for _ in range(levels)])
        self.skip = nn.ModuleList([Unit(channels, channels) for _ in range(levels - 1)])
        self.up = nn.ModuleList([Unit(channels, channels) for _ in range(levels)])
        self.gate = nn.Sequential(
            *activation(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
            *activation(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.Sigmoid(),
        )
        self.after = Unit(channels, channels)

    def mask(self, x: Tensor) -> Tensor:
        """Return the mask, 0 to 1, of x's shape."""
        levels = [x]
        for unit in self.down:
            levels.append(unit(F.max_pool2d(levels[-1], 3, 2, ceil_mode=True)))
        y: Tensor = self.up[-1](levels[-1])
        for number in reversed(range(len(self.skip))):
            level = levels[number + 1]
            y = self.up[number](enlarge(y, level) + self.skip[number](level))
        gate: Tensor = self.gate(enlarge(y, x))
        return gate

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H, W)."""
        x = self.before(x)
        trunk = self.trunk(x)
        out: Tensor = self.after(trunk + self.mask(x) * trunk)
        return out


def enlarge(x: Tensor, like: Tensor) -> Tensor:
    """Interpolate bilinearly to the other map's size."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=True)


class AttentionNet(nn.Module):
    """A stem, three stages of attention modules, residual units, pooling, one linear layer."""

    def __init__(self, stem: nn.Module, body: list[nn.Module], channels: int, classes: int) -> None:
        super().__init__()
        self.stem = stem
        self.body = nn.Sequential(*body, *activation(channels))
        self.fc = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to logits (N, classes)."""
        features: Tensor = self.body(self.stem(images)).mean((2, 3))
        logits: Tensor = self.fc(features)
        return logits


def stages(before: int, width: int, modules: tuple[int, int, int], stride: int) -> list[nn.Module]:
    """Three stages, each a unit that changes the shape and then modules with 3, 2 and 1 levels."""
    body: list[nn.Module] = []
    for number, count in enumerate(modules):
        after = width * 2**number
        body.append(Unit(before, after, stride if number else 1))
        body.extend(Attention(after, levels=3 - number) for _ in range(count))
        before = after
    return body


def attention(num_classes: int, *, modules: tuple[int, int, int], width: int = 256) -> nn.Module:
    """Build the net for photos (table 2): 56 has modules (1, 1, 1), 92 has (1, 2, 3)."""
    stem = nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, width // 4, 7, 2, 3, bias=False),
            activate=activation(width // 4),
            pool=nn.MaxPool2d(3, 2, ceil_mode=True),
        )
    )
    body = stages(width // 4, width, modules, stride=2)
    last = width * 8
    body += [Unit(width * 4, last, 2), Unit(last, last), Unit(last, last)]
    return AttentionNet(stem, body, last, num_classes)


def attention_cifar(num_classes: int, *, modules: int = 2, width: int = 64) -> nn.Module:
    """Build the net for 32 px (section 4.1): `modules` per stage, 36 * modules + 20 layers deep."""
    stem = nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, width // 4, 3, padding=1, bias=False),
            activate=activation(width // 4),
        )
    )
    body = stages(width // 4, width, (modules,) * 3, stride=2)
    last = width * 4
    body += [Unit(last, last) for _ in range(3)]
    return AttentionNet(stem, body, last, num_classes)
