"""Spatial Transformer Networks, Jaderberg et al. 2015, arXiv:1506.02025, section 3 and appendix A."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handlens.zoo.building import build
from handlens.zoo.extras import Criterion, training_loss
from handlens.zoo.gray import Gray


class Transformer(nn.Module):
    """Look at the image, choose an affine map, and resample the image through it.

    The last layer starts as the identity. `damping` scales what it learns to change, which slows the
    transformation down against the classifier, as the paper's smaller learning rate does.
    """

    identity: Tensor

    def __init__(self, localisation: nn.Sequential, features: int, damping: float = 1.0) -> None:
        super().__init__()
        self.localisation = localisation
        self.theta = nn.Linear(features, 6)
        self.damping = damping
        nn.init.zeros_(self.theta.weight)
        nn.init.zeros_(self.theta.bias)
        self.register_buffer("identity", torch.tensor([1.0, 0, 0, 0, 1, 0]), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) to the resampled (N, C, H, W); outside the image is 0, the mean colour."""
        change = self.theta(self.localisation(images))
        theta = (self.identity + self.damping * change).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, align_corners=False)


def digit_localisation() -> nn.Sequential:
    """Build the MNIST localisation net (appendix A.4): half size, two 5x5 convolutions of 20, 20 units."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(14),  # 2x2 average pooling of the paper's 28x28
        nn.Conv2d(1, 20, 5),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 20, 5),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(20, 20),
        nn.ReLU(inplace=True),
    )


def photo_localisation() -> nn.Sequential:
    """Build the SVHN localisation net (appendix A.2) on the photo shrunk to 32x32."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(32),
        nn.Conv2d(3, 32, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(32 * 16 * 16, 32),
        nn.ReLU(inplace=True),
    )


class DigitSTN(nn.Module):
    """The paper's MNIST net: a transformer before two convolutions and one linear layer."""

    def __init__(self, num_classes: int, filters: int, transformer: bool) -> None:
        super().__init__()
        self.gray = Gray()
        self.transformer = Transformer(digit_localisation(), 20) if transformer else nn.Identity()
        self.features = nn.Sequential(
            nn.Conv2d(1, filters, 9),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(filters, filters, 7),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d(2),  # the identity at the paper's 28 px
            nn.Flatten(),
        )
        self.fc = nn.Linear(filters * 2 * 2, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) to logits (N, classes)."""
        logits: Tensor = self.fc(self.features(self.transformer(self.gray(images))))
        return logits


class STN(nn.Module):
    """A transformer in front of another network of the zoo."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.transformer = Transformer(photo_localisation(), 32, damping=0.1)
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to logits (N, classes)."""
        logits: Tensor = self.backbone(self.transformer(images))
        return logits

    def training_loss(self, images: Tensor, criterion: Criterion) -> tuple[Tensor, Tensor]:
        """Leave the loss to the backbone, which may have extras of its own."""
        return training_loss(self.backbone, self.transformer(images), criterion)


def stn_mnist(num_classes: int, *, filters: int = 64, transformer: bool = True) -> nn.Module:
    """Build the digit net; without `transformer` it is the paper's plain CNN."""
    return DigitSTN(num_classes, filters, transformer)


def stn(num_classes: int, *, backbone: str = "resnet18") -> nn.Module:
    """Build the photo form."""
    return STN(build(backbone, num_classes))
