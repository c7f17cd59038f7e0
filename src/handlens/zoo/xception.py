"""Xception, Chollet 2016, arXiv:1610.02357, figure 5."""

from timm.models.xception import Xception
from torch import nn


def xception(num_classes: int) -> nn.Module:
    """Build timm's Xception, which equals the paper's to the parameter."""
    network: nn.Module = Xception(num_classes=num_classes)
    return network
