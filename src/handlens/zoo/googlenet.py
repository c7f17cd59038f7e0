"""GoogLeNet (Inception-v1), Szegedy et al. 2014, arXiv:1409.4842, table 1; and torchvision's BN form."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from handlens.zoo.extras import Criterion
from handlens.zoo.init import he_

AUX_WEIGHT = 0.3  # of each auxiliary head's loss, section 5

# Table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
STAGE_3 = [(64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)]
STAGE_4 = [
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
]
STAGE_5 = [(256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)]


def conv(before: int, after: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolve with bias and "same" padding, then ReLU."""
    layer = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2)
    return nn.Sequential(layer, nn.ReLU(inplace=True))


class Inception(nn.Module):
    """Four parallel paths, joined: 1x1, 3x3, 5x5 and pooling (figure 2b)."""

    def __init__(self, before: int, row: tuple[int, ...]) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, pool = row
        self.path1 = conv(before, one, 1)
        self.path2 = nn.Sequential(conv(before, reduce3, 1), conv(reduce3, three, 3))
        self.path3 = nn.Sequential(conv(before, reduce5, 1), conv(reduce5, five, 5))
        self.path4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(before, pool, 1))
        self.out_channels = one + three + five + pool

    def forward(self, x: Tensor) -> Tensor:
        """Join the paths' channels."""
        return torch.cat([self.path1(x), self.path2(x), self.path3(x), self.path4(x)], 1)


class Auxiliary(nn.Module):
    """A classifier on a middle layer, for training only (section 5)."""

    def __init__(self, before: int, num_classes: int) -> None:
        super().__init__()
        self.conv = conv(before, 128, 1)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map features to logits; 5x5/3 pooling on the paper's 14x14 map, to which others are fitted."""
        x = F.avg_pool2d(F.adaptive_avg_pool2d(x, 14), 5, 3)
        x = F.relu(self.fc1(self.conv(x).flatten(1)))
        logits: Tensor = self.fc2(F.dropout(x, 0.7, self.training))
        return logits


class GoogLeNet(nn.Module):
    """The paper's network: biases, response normalisation, 5x5 convolutions, two auxiliary heads."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv(3, 64, 7, stride=2),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0),
            conv(64, 64, 1),
            conv(64, 192, 3),
            nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0),
            nn.MaxPool2d(3, 2, ceil_mode=True),
        )
        self.stage3, after = stack(192, STAGE_3)
        self.stage4a, aux1 = stack(after, STAGE_4[:1])
        self.stage4b, aux2 = stack(aux1, STAGE_4[1:4])
        self.stage4e, after = stack(aux2, STAGE_4[4:])
        self.stage5, after = stack(after, STAGE_5)
        self.aux1 = Auxiliary(aux1, num_classes)
        self.aux2 = Auxiliary(aux2, num_classes)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.dropout = nn.Dropout(0.4)
        self.fc = nn.Linear(after, num_classes)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the maps after 4a, 4d and 5b."""
        first = self.stage4a(self.pool(self.stage3(self.stem(images))))
        second = self.stage4b(first)
        return first, second, self.stage5(self.pool(self.stage4e(second)))

    def classify(self, features: Tensor) -> Tensor:
        """Map the last features to logits."""
        logits: Tensor = self.fc(self.dropout(features.mean((2, 3))))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to logits (N, classes)."""
        return self.classify(self.features(images)[2])

    def training_loss(self, images: Tensor, criterion: Criterion) -> tuple[Tensor, Tensor]:
        """Add the auxiliary heads' losses, weighted 0.3 each."""
        first, second, last = self.features(images)
        logits = self.classify(last)
        auxiliary = criterion(self.aux1(first)) + criterion(self.aux2(second))
        return logits, criterion(logits) + AUX_WEIGHT * auxiliary


def stack(before: int, rows: Sequence[tuple[int, ...]]) -> tuple[nn.Sequential, int]:
    """Chain Inception blocks; also return the channels that come out."""
    blocks = []
    for row in rows:
        blocks.append(Inception(before, row))
        before = blocks[-1].out_channels
    return nn.Sequential(*blocks), before


class GoogLeNetBN(torchvision.models.GoogLeNet):  # type: ignore[misc]
    """torchvision's network, which returns its auxiliary logits in training mode."""

    def training_loss(self, images: Tensor, criterion: Criterion) -> tuple[Tensor, Tensor]:
        """Add the auxiliary heads' losses, weighted 0.3 each."""
        out = self(images)
        auxiliary = criterion(out.aux_logits1) + criterion(out.aux_logits2)
        return out.logits, criterion(out.logits) + AUX_WEIGHT * auxiliary


def googlenet(num_classes: int) -> nn.Module:
    """Build the paper's form."""
    return he_(GoogLeNet(num_classes))


def googlenet_bn(num_classes: int) -> nn.Module:
    """Build torchvision's form, with the change of input scale that its ImageNet weights expect."""
    network: nn.Module = GoogLeNetBN(num_classes, transform_input=True, init_weights=True)
    return network
