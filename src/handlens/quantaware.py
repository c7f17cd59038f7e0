"""Quantisation-aware training: a trained network learns, for a few epochs, to bear 8-bit arithmetic.

Jacob et al. 2018, arXiv:1712.05877. In the forward pass weights are rounded as the int8 file will round them
(7 bits per output channel, which commutes with the folding of batch norms) and so are the inputs of
convolutions and linear layers (8 bits over the range seen so far); gradients pass straight through. What is
learnt are float32 weights: they are exported and calibrated like any others. The teacher is the trained
network itself, since the file is judged by how well it agrees with that.
"""

import copy

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torchvision.ops import FrozenBatchNorm2d

from handlens import assembly
from handlens.checkpoint import Card
from handlens.contract import Contract
from handlens.distillation import teacher_of
from handlens.distributed import Processes
from handlens.pixels import PixelStore
from handlens.progress import TrainingProgress
from handlens.recipe import Recipe

WEIGHT_LEVELS = 63  # each side of zero: `reduce_range` of the static quantisation
INPUT_LEVELS = 255
MOMENTUM = 0.05  # weight of the newest batch in the range of the inputs
LR_SHARE = 0.05  # of the recipe's learning rate: the network is to move a little


class RoundedWeight(nn.Module):
    """Round a weight (out, ...) per output channel, symmetrically."""

    def forward(self, weight: Tensor) -> Tensor:
        """Give the rounded weight."""
        scale = weight.detach().abs().amax(dim=tuple(range(1, weight.ndim))) / WEIGHT_LEVELS
        zeros = torch.zeros(len(weight), dtype=torch.int32, device=weight.device)
        return torch.fake_quantize_per_channel_affine(
            weight, scale.clamp_min(1e-12), zeros, 0, -WEIGHT_LEVELS, WEIGHT_LEVELS
        )


class RoundedInput(nn.Module):
    """Round activations over the range that they had so far, which always holds 0."""

    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def forward(self, values: Tensor) -> Tensor:
        """Give the rounded values, of the same shape."""
        if self.training:
            self.follow(values.detach())
        scale = ((self.high - self.low) / INPUT_LEVELS).clamp_min(1e-12)
        zero = (-self.low / scale).round().to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(values, scale, zero, 0, INPUT_LEVELS)

    def follow(self, values: Tensor) -> None:
        """Move the range towards that of a batch; the first batch gives it."""
        low, high = torch.aminmax(values)
        share = torch.where(self.high > self.low, MOMENTUM, 1.0)
        self.low.lerp_(low.clamp_max(0), share)
        self.high.lerp_(high.clamp_min(0), share)


def layers(network: nn.Module) -> list[nn.Module]:
    """List the layers that an int8 file computes in 8 bits."""
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def freeze_norms(network: nn.Module) -> None:
    """Let batch norms keep and use the statistics they have, in place: the file has them folded in."""
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            frozen = FrozenBatchNorm2d(module.num_features, module.eps)
            frozen.load_state_dict(module.state_dict())
            network.set_submodule(name, frozen.to(module.weight.device))


def round_all(network: nn.Module) -> None:
    """Make the network compute as in 8 bits, in place."""
    for layer in layers(network):
        layer.add_module("rounded_input", RoundedInput())
        layer.register_forward_pre_hook(rounded)
        parametrize.register_parametrization(layer, "weight", RoundedWeight())


def rounded(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Round the input of a layer before it is called."""
    rounding: nn.Module = layer.get_submodule("rounded_input")
    return (rounding(inputs[0]), *inputs[1:])


def fine_tune(
    network: nn.Module,
    card: Card,
    table: pd.DataFrame,
    contract: Contract,
    store: PixelStore,
    *,
    epochs: int,
    processes: Processes,
) -> nn.Module:
    """Train a copy of `network` in simulated 8 bits; gives it with the best epoch's float32 weights.

    `card` tells the recipe that made the network, of which the data, their augmentation and the optimizer
    are kept. `network` is not changed. Test rows of `table` are not looked at.
    """
    student = copy.deepcopy(network).requires_grad_(True)
    student = student.to(processes.device).to(memory_format=torch.channels_last)
    freeze_norms(student)
    round_all(student)
    trainer = assembly.trainer(
        recipe_of(card, epochs),
        table,
        contract,
        store,
        seed=card.seed,
        processes=processes,
        network=student,
        teacher=teacher_of(network, processes.device, temperature=1.0, weight=1.0),
    )
    with TrainingProgress(f"{card.model} in 8 bits,", epochs) as progress:
        for event in trainer.run():
            progress.show(event)
    learnt = {plain_name(name): value for name, value in trainer.best_network().state_dict().items()}
    tuned = copy.deepcopy(network)
    tuned.load_state_dict({name: learnt.get(name, value) for name, value in network.state_dict().items()})
    return tuned.eval()


def plain_name(name: str) -> str:
    """Name a tensor of the rounded network as the network itself does."""
    return name.replace(".parametrizations.weight.original", ".weight")


def recipe_of(card: Card, epochs: int) -> Recipe:
    """Take the recipe that made a model, for a few calm epochs from where it ended."""
    kept = {key: value for key, value in card.recipe.items() if key in Recipe.model_fields}
    changes = {
        "weights": None,
        "epochs": epochs,
        "lr": kept["lr"] * LR_SHARE,
        "head_lr_mult": 1,
        "layer_decay": None,
        "freeze_epochs": 0,
        "schedule": "cosine",
        "warmup_epochs": 0,
        "ema": None,
        "mixup": None,
        "cutmix": None,
        "patience": None,
    }
    return Recipe.model_validate({**kept, **changes})
