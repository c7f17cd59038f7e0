"""MobileNet V1, Howard et al. 2017, arXiv:1704.04861; V2, Sandler et al. 2018, arXiv:1801.04381."""

from functools import partial

import torchvision
from timm.models.efficientnet import EfficientNet, decode_arch_def, round_channels
from torch import nn

# V1, table 1: depthwise separable units as repeats (r), kernel (k), stride (s) and channels (c)
V1 = [
    ["dsa_r1_k3_s1_c64"],
    ["dsa_r2_k3_s2_c128"],
    ["dsa_r2_k3_s2_c256"],
    ["dsa_r6_k3_s2_c512"],
    ["dsa_r2_k3_s2_c1024"],
]


def mobilenet_v1(num_classes: int, *, width: float = 1.0) -> nn.Module:
    """Build timm's MobileNet V1 with all channels times `width`."""
    network: nn.Module = EfficientNet(
        decode_arch_def(V1),
        num_classes=num_classes,
        num_features=0,
        stem_size=32,
        round_chs_fn=partial(round_channels, multiplier=width),
        act_layer=nn.ReLU6,
    )
    return network


def mobilenet_v2(num_classes: int, *, width: float = 1.0) -> nn.Module:
    """Build torchvision's MobileNet V2 with all channels times `width`."""
    network: nn.Module = torchvision.models.mobilenet_v2(num_classes=num_classes, width_mult=width)
    return network
