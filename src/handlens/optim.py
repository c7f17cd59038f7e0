"""Parameter groups, optimizers, learning rates over time, and the moving average of weights."""

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "cosine", "step", "one_cycle"]

STEP_AT = (0.5, 0.75)  # shares of the training at which `step` divides the learning rate by ten
ONE_CYCLE_RISE = 0.3  # share of the training in which `one_cycle` rises
ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1e-4  # of the highest learning rate


def build(
    network: nn.Module,
    head: Iterable[str],
    *,
    optimizer: Optimizer,
    lr: float,
    momentum: float,
    weight_decay: float,
    head_lr_mult: float,
    layer_decay: float | None,
) -> torch.optim.Optimizer:
    """Make the optimizer of `network`; `head` names the parameters of its new head.

    `momentum` is SGD's (Nesterov's form) and the first beta of Adam and AdamW. All three run fused: one
    kernel for all parameters.
    """
    groups = parameter_groups(
        network,
        frozenset(head),
        lr=lr,
        weight_decay=weight_decay,
        head_lr_mult=head_lr_mult,
        layer_decay=layer_decay,
    )
    if optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=momentum, nesterov=momentum > 0, fused=True)
    kind = torch.optim.Adam if optimizer == "adam" else torch.optim.AdamW
    return kind(groups, betas=(momentum, 0.999), fused=True)


def parameter_groups(
    network: nn.Module,
    head: frozenset[str],
    *,
    lr: float,
    weight_decay: float,
    head_lr_mult: float,
    layer_decay: float | None,
) -> list[dict[str, Any]]:
    """Gather parameters that share a highest learning rate (`max_lr`) and a weight decay.

    Norms and biases (parameters of one dimension) are not decayed (He et al., Bag of Tricks,
    arXiv:1812.01187, 3.1). With `layer_decay` a block's learning rate is `layer_decay` times that of the
    block after it (BEiT, arXiv:2106.08254); the head is the last block.
    """
    names = [name for name, _ in network.named_parameters()]
    body = list(dict.fromkeys(block_of(name) for name in names if name not in head))
    depth = {block: len(body) - number for number, block in enumerate(body)}
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        rate = lr * head_lr_mult if name in head else lr
        if layer_decay is not None and name not in head:
            rate *= layer_decay ** depth[block_of(name)]
        decay = weight_decay if parameter.ndim > 1 else 0.0
        group = {"params": [], "lr": rate, "max_lr": rate, "weight_decay": decay}
        groups.setdefault((rate, decay), group)["params"].append(parameter)
    return list(groups.values())


def block_of(name: str) -> str:
    """Name the block a parameter lies in: "features.3.conv.weight" is in "features.3"."""
    parts = name.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 and parts[1].isdigit() else parts[0]


def lr_factor(step: int, steps: int, *, schedule: Schedule, warmup_steps: int) -> float:
    """Give the share of the highest learning rate at `step` (0 to steps - 1): a pure function of time.

    `one_cycle` (Smith, arXiv:1708.07120) rises by a cosine over 30 % of the training and falls to a ten
    thousandth; the others rise linearly over `warmup_steps` (Goyal et al., arXiv:1706.02677, 2.2).
    """
    if schedule == "one_cycle":
        rise = ONE_CYCLE_RISE * steps
        if step < rise:
            return cosine(ONE_CYCLE_START, 1.0, step / rise)
        return cosine(1.0, ONE_CYCLE_END, (step - rise) / max(1.0, steps - 1 - rise))
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if schedule == "cosine":
        return cosine(1.0, 0.0, (step - warmup_steps) / max(1, steps - warmup_steps))
    if schedule == "step":
        return 0.1 ** sum(step >= share * steps for share in STEP_AT)
    return 1.0


def cosine(start: float, end: float, share: float) -> float:
    """Go from `start` to `end` along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def set_lr(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Give every group `factor` times its highest learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["max_lr"] * factor


class MovingAverage:
    """Exponential moving average of a network's weights and buffers.

    The decay rises as (1 + n) / (10 + n) to its value, so that the first steps are forgotten (as in
    TensorFlow's ExponentialMovingAverage). Whole numbers, such as a count of batches, are copied.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: value.detach().clone() for name, value in tensors_of(network).items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards the weights after `step` (0, 1, …)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in tensors_of(network).items():
            if value.is_floating_point():
                self.tensors[name].lerp_(value, 1 - decay)
            else:
                self.tensors[name].copy_(value)


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Name a network's own parameters and buffers, those that its weights file holds."""
    return dict(network.state_dict(keep_vars=True))
