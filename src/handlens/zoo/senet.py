"""Squeeze-and-Excitation, Hu et al. 2017, arXiv:1709.01507, on ResNets, and SENet-154."""

from timm.models.senet import SEBottleneck, SENet, SEResNetBlock, SEResNetBottleneck
from torch import nn

BLOCKS = {"basic": SEResNetBlock, "bottleneck": SEResNetBottleneck}


def seresnet(num_classes: int, *, block: str = "bottleneck", layers: tuple[int, ...]) -> nn.Module:
    """Build timm's SE-ResNet with the paper's stride and the authors' biased linear layers."""
    network: nn.Module = SENet(
        BLOCKS[block], layers, groups=1, reduction=16, drop_rate=0, num_classes=num_classes
    )
    return network


def senet154(num_classes: int, *, layers: tuple[int, ...] = (3, 8, 36, 3)) -> nn.Module:
    """Build timm's SENet-154, the winner of ILSVRC 2017: 64 groups, a 3x3 stem, dropout 0.2."""
    network: nn.Module = SENet(
        SEBottleneck,
        layers,
        groups=64,
        reduction=16,
        drop_rate=0.2,
        inplanes=128,
        input_3x3=True,
        downsample_kernel_size=3,
        downsample_padding=1,
        num_classes=num_classes,
    )
    return network
