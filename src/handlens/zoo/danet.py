"""Dual Attention Network, Fu et al. 2018, arXiv:1809.02983, as a classifier.

The paper segments. The adaptation: output stride 32, and global average pooling with one linear layer in
place of the segmentation's 1x1 convolution on the two summed branches.
"""

import torch
from torch import Tensor, nn

from handlens.zoo.resnet import resnet


class PositionAttention(nn.Module):
    """Every position gathers from all positions, weighed by likeness (section 3.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 8, 1)
        self.key = nn.Conv2d(channels, channels // 8, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H, W); with gamma 0 the input comes back."""
        query, key, value = (part(x).flatten(2) for part in (self.query, self.key, self.value))
        weights = torch.softmax(query.transpose(1, 2) @ key, -1)  # (N, HW, HW)
        gathered: Tensor = (value @ weights.transpose(1, 2)).view_as(x)
        return self.gamma * gathered + x


class ChannelAttention(nn.Module):
    """Every channel gathers from all channels, weighed by unlikeness (section 3.3, the authors' code)."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H, W); with gamma 0 the input comes back."""
        flat = x.flatten(2)
        energy = flat @ flat.transpose(1, 2)  # (N, C, C)
        weights = torch.softmax(energy.amax(-1, keepdim=True) - energy, -1)
        return self.gamma * (weights @ flat).view_as(x) + x


def conv(before: int, after: int) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU."""
    layer = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class DANet(nn.Module):
    """A ResNet's last map through position and channel attention, summed, pooled, classified."""

    def __init__(self, backbone: nn.Module, channels: int, num_classes: int) -> None:
        super().__init__()
        middle = channels // 4
        self.backbone = backbone
        self.position = nn.Sequential(conv(channels, middle), PositionAttention(middle), conv(middle, middle))
        self.channel = nn.Sequential(conv(channels, middle), ChannelAttention(), conv(middle, middle))
        self.dropout = nn.Dropout(0.1)
        self.fc = nn.Linear(middle, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to logits (N, classes)."""
        features = self.backbone(images)
        summed = self.position(features) + self.channel(features)
        logits: Tensor = self.fc(self.dropout(summed.mean((2, 3))))
        return logits


def danet(num_classes: int, *, block: str = "bottleneck", layers: tuple[int, ...]) -> nn.Module:
    """Put the two attentions on a ResNet of torchvision."""
    body = resnet(1, block=block, layers=layers)
    parts = [part for name, part in body.named_children() if name not in ("avgpool", "fc")]
    channels = {"basic": 512, "bottleneck": 2048}[block]
    return DANet(nn.Sequential(*parts), channels, num_classes)
