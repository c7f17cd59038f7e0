"""ResNeSt, split-attention networks, Zhang et al. 2020, arXiv:2004.08955."""

from timm.models.resnest import ResNestBottleneck
from timm.models.resnet import ResNet
from torch import nn


def resnest(num_classes: int, *, layers: tuple[int, ...], stem_width: int = 32) -> nn.Module:
    """Build timm's ResNeSt 2s1x64d: radix 2, cardinality 1, deep stem, average pooling for strides."""
    network: nn.Module = ResNet(
        ResNestBottleneck,
        layers,
        num_classes=num_classes,
        stem_type="deep",
        stem_width=stem_width,
        avg_down=True,
        base_width=64,
        cardinality=1,
        block_args={"radix": 2, "avd": True, "avd_first": False},
    )
    return network
