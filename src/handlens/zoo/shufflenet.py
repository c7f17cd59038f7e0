"""ShuffleNet V1, Zhang et al. 2017, arXiv:1707.01083; V2, Ma et al. 2018, arXiv:1807.11164."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.shufflenetv2 import ShuffleNetV2

V1_CHANNELS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # table 1: stage 2 by groups; doubled after
V1_REPEATS = (4, 8, 4)


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the groups' channels: (N, g * n, H, W) seen as (g, n) is transposed to (n, g)."""
    batch, channels, height, width = x.shape
    x = x.view(batch, groups, channels // groups, height, width)
    return x.transpose(1, 2).reshape(batch, channels, height, width)


class Unit(nn.Module):
    """Grouped 1x1, shuffle, depthwise 3x3, grouped 1x1 (figure 2b); with stride 2, figure 2c."""

    def __init__(self, before: int, after: int, groups: int, first_groups: int, stride: int) -> None:
        super().__init__()
        middle = after // 4
        out = after - before if stride == 2 else after
        self.stride, self.groups = stride, first_groups
        self.conv1 = nn.Conv2d(before, middle, 1, groups=first_groups, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, groups=middle, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, out, 1, groups=groups, bias=False)
        self.bn3 = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        """Add to the input, or with stride 2 join its average-pooled half-size map."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(channel_shuffle(y, self.groups)))
        y = self.bn3(self.conv3(y))
        if self.stride == 2:
            return torch.cat([F.avg_pool2d(x, 3, 2, 1), F.relu(y)], 1)
        return F.relu(x + y)


class ShuffleNetV1(nn.Module):
    """A 3x3/2 stem, three stages of units, global average pooling, one linear layer."""

    def __init__(self, num_classes: int, groups: int, stem: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 3, 2, 1, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        )
        units: list[nn.Module] = []
        before = stem
        for stage, repeats in enumerate(V1_REPEATS):
            after = channels * 2**stage
            for repeat in range(repeats):
                first = 1 if not units else groups  # the first unit has too few channels for groups
                units.append(Unit(before, after, groups, first, stride=1 if repeat else 2))
                before = after
        self.units = nn.Sequential(*units)
        self.fc = nn.Linear(before, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to logits (N, classes)."""
        features: Tensor = self.units(self.stem(images)).mean((2, 3))
        logits: Tensor = self.fc(features)
        return logits


def shufflenet_v1(num_classes: int, *, groups: int = 3, width: float = 1.0) -> nn.Module:
    """Build the column `groups` of table 1 with all channels times `width`."""
    stem = {0.5: 16 if groups == 8 else 12, 2.0: 48}.get(width, 24)  # the authors' code
    return ShuffleNetV1(num_classes, groups, stem, round(V1_CHANNELS[groups] * width))


def shufflenet_v2(num_classes: int, *, channels: tuple[int, ...]) -> nn.Module:
    """Build torchvision's ShuffleNet V2; `channels` of the stem, three stages and the last convolution."""
    network: nn.Module = ShuffleNetV2([4, 8, 4], list(channels), num_classes)
    return network
