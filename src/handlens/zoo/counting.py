"""Parameters and multiply-adds of a network, counted as ARCHITECTURES counts them."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from handlens.zoo.building import origin


@dataclass(frozen=True)
class Counts:
    """`params` is what inference uses; `training_params` includes auxiliary heads. MACs per photo."""

    params: int
    training_params: int
    macs: int


def count(model: nn.Module, input_size: int) -> Counts:
    """Count a network built by the zoo for one photo (3, input_size, input_size) in eval mode.

    MACs are half the FLOPs of convolutions and matrix products (`torch.utils.flop_counter`); the forward
    pass runs where the parameters are, so a network on the meta device is counted without computing.
    """
    only = origin(model).card.training_only
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    inference = sum(size for name, size in sizes.items() if not name.startswith(only or ("\0",)))
    return Counts(inference, sum(sizes.values()), count_macs(model, input_size))


def count_macs(model: nn.Module, input_size: int) -> int:
    """Count the multiply-adds of one photo in eval mode; the network's mode is left as it was."""
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, input_size, input_size, device=device))
    model.train(training)
    return int(counter.get_total_flops()) // 2
