"""BAM, Park et al. 2018, arXiv:1807.06514, after the first three stages of a ResNet, as the authors' code."""

import torch
from torch import Tensor, nn

from handlens.zoo.resnet import resnet


class BAM(nn.Module):
    """Weigh every channel and position by 1 + sigmoid(channel map * spatial map) (figure 2)."""

    def __init__(self, channels: int, reduction: int = 16, dilation: int = 4) -> None:
        super().__init__()
        middle = channels // reduction
        self.channel = nn.Sequential(
            nn.Linear(channels, middle),
            nn.BatchNorm1d(middle),
            nn.ReLU(inplace=True),
            nn.Linear(middle, channels),
        )
        self.spatial = nn.Sequential(
            *conv(channels, middle, 1, 1),
            *conv(middle, middle, 3, dilation),
            *conv(middle, middle, 3, dilation),
            nn.Conv2d(middle, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scale (N, C, H, W)."""
        channel = self.channel(x.mean((2, 3)))[:, :, None, None]
        return x * (1 + torch.sigmoid(channel * self.spatial(x)))


def conv(before: int, after: int, kernel: int, dilation: int) -> list[nn.Module]:
    """Convolve with bias at the same size, batch norm, ReLU."""
    padding = dilation * (kernel // 2)
    layer = nn.Conv2d(before, after, kernel, padding=padding, dilation=dilation)
    return [layer, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]


def bam_resnet(num_classes: int, *, block: str = "bottleneck", layers: tuple[int, ...]) -> nn.Module:
    """Append a BAM to stages 1, 2 and 3."""
    network = resnet(num_classes, block=block, layers=layers)
    expansion = {"basic": 1, "bottleneck": 4}[block]
    for stage, channels in (("layer1", 64), ("layer2", 128), ("layer3", 256)):
        blocks = network.get_submodule(stage)
        setattr(network, stage, nn.Sequential(*blocks.children(), BAM(channels * expansion)))
    return network
