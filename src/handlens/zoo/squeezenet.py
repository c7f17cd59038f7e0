"""SqueezeNet, Iandola et al. 2016, arXiv:1602.07360; 1.1 is the authors' later, cheaper release."""

from torch import nn
from torchvision.models.squeezenet import SqueezeNet


def squeezenet(num_classes: int, *, version: str) -> nn.Module:
    """Build torchvision's SqueezeNet `1_0` or `1_1`."""
    network: nn.Module = SqueezeNet(version, num_classes)
    return network
