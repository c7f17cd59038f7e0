"""CBAM, Woo et al. 2018, arXiv:1807.06521, in every block of a ResNet, as in the authors' code."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from handlens.zoo.resnet import resnet


class ChannelGate(nn.Module):
    """Weigh channels by one small network on their means and on their maxima (equation 2)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(channels, channels // reduction),
            nn.ReLU(inplace=True),
            nn.Linear(channels // reduction, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scale (N, C, H, W) per channel."""
        gate = torch.sigmoid(self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3))))
        return x * gate[:, :, None, None]


class SpatialGate(nn.Module):
    """Weigh positions by a 7x7 convolution on the maximum and mean over channels (equation 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01)
        nn.init.zeros_(self.norm.weight)  # as the authors' code: the gate starts at 0.5 everywhere

    def forward(self, x: Tensor) -> Tensor:
        """Scale (N, C, H, W) per position."""
        summary = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.norm(self.conv(summary)))


def cbam(channels: int) -> nn.Sequential:
    """Channel attention, then spatial attention."""
    return nn.Sequential(OrderedDict(channel=ChannelGate(channels), spatial=SpatialGate()))


def cbam_resnet(num_classes: int, *, block: str = "bottleneck", layers: tuple[int, ...]) -> nn.Module:
    """Put a CBAM after the last normalisation of every residual branch."""
    network = resnet(num_classes, block=block, layers=layers)
    for unit in network.modules():
        if isinstance(unit, BasicBlock):
            unit.bn2 = nn.Sequential(OrderedDict(norm=unit.bn2, cbam=cbam(unit.bn2.num_features)))
        elif isinstance(unit, Bottleneck):
            unit.bn3 = nn.Sequential(OrderedDict(norm=unit.bn3, cbam=cbam(unit.bn3.num_features)))
    return network
