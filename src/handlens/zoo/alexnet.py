"""AlexNet, Krizhevsky, Sutskever and Hinton, NIPS 2012; and torchvision's narrower one, arXiv:1404.5997.

The paper splits three convolutions over two GPUs (`groups` 2). The article teaches the same layers
unsplit. Both give 55, 27, 27, 13, 13, 13, 13, 6 pixels for 227.
"""

import torchvision
from torch import Tensor, nn

from handlens.zoo.init import he_


class AlexNet(nn.Module):
    """Five convolutions, overlapping 3x3/2 max pooling, local response normalisation, three linear layers."""

    def __init__(self, num_classes: int, groups: int, width: int, hidden: int) -> None:
        super().__init__()
        w1, w2, w3 = width, width * 8 // 3, width * 4  # 96, 256, 384
        self.features = nn.Sequential(
            nn.Conv2d(3, w1, 11, stride=4),
            nn.ReLU(inplace=True),
            response_norm(),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(w1, w2, 5, padding=2, groups=groups),
            nn.ReLU(inplace=True),
            response_norm(),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(w2, w3, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(w3, w3, 3, padding=1, groups=groups),
            nn.ReLU(inplace=True),
            nn.Conv2d(w3, w2, 3, padding=1, groups=groups),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)  # the identity at the paper's 227 px
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(w2 * 6 * 6, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to logits (N, classes)."""
        features: Tensor = self.avgpool(self.features(images))
        logits: Tensor = self.classifier(features.flatten(1))
        return logits


def response_norm() -> nn.LocalResponseNorm:
    """Divide by (2 + 1e-4 * sum of squares over 5 channels) ** 0.75, section 3.3.

    torch averages the squares where the paper sums them, hence 5 times the paper's alpha.
    """
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def alexnet(num_classes: int, *, groups: int = 1, width: int = 96, hidden: int = 4096) -> nn.Module:
    """Build the paper's layers; `width` and `hidden` are those of the first and the linear layers."""
    return he_(AlexNet(num_classes, groups, width, hidden))


def alexnet_torchvision(num_classes: int) -> nn.Module:
    """Build torchvision's AlexNet, for its ImageNet weights."""
    network: nn.Module = torchvision.models.alexnet(num_classes=num_classes)
    return network
