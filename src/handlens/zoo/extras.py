"""The one interface of networks that train with more than their output's loss.

Auxiliary heads and hint losses exist in training only. A network that has such an extra brings a method
`training_loss(images, criterion)`; training asks `training_loss` below and knows no network by name.
`forward` gives logits (N, classes) in eval mode, for every network.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

Criterion = Callable[[Tensor], Tensor]
"""Maps logits (N, classes) to a scalar loss; the labels are bound already."""


@runtime_checkable
class HasTrainingLoss(Protocol):
    """A network with a loss of its own."""

    def training_loss(self, images: Tensor, criterion: Criterion) -> tuple[Tensor, Tensor]:
        """Return (logits (N, classes), scalar loss) for a training batch (N, 3, H, W)."""
        ...


def training_loss(model: nn.Module, images: Tensor, criterion: Criterion) -> tuple[Tensor, Tensor]:
    """Return (logits (N, classes), scalar loss) of a batch (N, 3, H, W) in training mode."""
    if isinstance(model, HasTrainingLoss):
        return model.training_loss(images, criterion)
    logits = model(images)
    return logits, criterion(logits)
