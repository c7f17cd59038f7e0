"""Initial weights of the networks written here."""

from typing import TypeVar

from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def he_(network: Network) -> Network:
    """Initialise convolutions and linear layers in place for ReLU (He et al. 2015), biases with zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
