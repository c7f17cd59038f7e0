"""A test network: three convolutions. It proves the chain in seconds, not an idea."""

from itertools import pairwise

from torch import Tensor, nn


class Tiny(nn.Module):
    """Three strided 3x3 convolutions with batch norm, global average pooling, one linear layer."""

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 4 * width]
        self.features = nn.Sequential(*[unit(before, after) for before, after in pairwise(widths)])
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to logits (N, classes)."""
        features: Tensor = self.features(images).mean((2, 3))
        logits: Tensor = self.fc(features)
        return logits


def unit(before: int, after: int) -> nn.Sequential:
    """Halve the map: 3x3 convolution with stride 2, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def tiny(num_classes: int, *, width: int = 16) -> nn.Module:
    """Build the test network."""
    return Tiny(num_classes, width)
