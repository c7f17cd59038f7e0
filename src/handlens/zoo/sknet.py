"""Selective Kernel Networks, Li et al. 2019, arXiv:1903.06586, table 1."""

from timm.models.resnet import ResNet
from timm.models.sknet import SelectiveKernelBottleneck
from torch import nn


def sknet(num_classes: int, *, layers: tuple[int, ...]) -> nn.Module:
    """Build timm's SKNet on ResNeXt 32x4d: two kernels, reduction to max(C / 16, 32)."""
    network: nn.Module = ResNet(
        SelectiveKernelBottleneck,
        layers,
        num_classes=num_classes,
        cardinality=32,
        base_width=4,
        block_args={"sk_kwargs": {"rd_ratio": 1 / 16, "rd_divisor": 32, "split_input": False}},
        zero_init_last=False,
    )
    return network
