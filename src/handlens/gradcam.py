"""Where a network finds its evidence: Grad-CAM, Selvaraju et al. 2017, arXiv:1610.02391, equations 1, 2."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from handlens.pixels import Pixels
from handlens.preprocessing import Classifier

Ints = NDArray[np.int64]
Heat = NDArray[np.float32]  # (N, h, w), from 0 to 1, as coarse as the network's last map

BATCH = 8  # photos; all activations of a batch are in memory at once


def heat(classifier: Classifier, squares: Pixels, classes: Ints) -> Heat:
    """Show where in `squares` (N, S, S, 3) the evidence for the class indices `classes` (N,) lies.

    Returns (N, h, w): each photo's map, spread over the whole square, its strongest place 1 (all 0 where
    nothing speaks for the class). The map is the last output of a layer with more than one place; where a
    network adds branches up after it, it is the last branch's, and after a spatial transformer it lies on the
    transformed photo. A network without such a layer gives (N, 0, 0). Gradients reach no weight.
    """
    starts = range(0, len(squares), BATCH)
    parts = [heat_of(classifier, squares[i : i + BATCH], classes[i : i + BATCH]) for i in starts]
    return np.concatenate(parts) if parts else np.zeros((0, 0, 0), np.float32)


def heat_of(classifier: Classifier, squares: Pixels, classes: Ints) -> Heat:
    """Do what `heat` does for one batch."""
    inputs = classifier.preprocess(torch.from_numpy(squares))
    logits, features = last_map(classifier.eval().network, inputs)
    if features is None:
        return np.zeros((len(squares), 0, 0), np.float32)
    scores = logits[torch.arange(len(classes)), torch.from_numpy(classes)]
    (gradient,) = torch.autograd.grad(scores.sum(), features)
    weights = gradient.mean((2, 3), keepdim=True)
    found = torch.relu((weights * features).sum(1)).detach()
    strongest = found.amax((1, 2), keepdim=True)
    normal: Heat = (found / strongest.clamp_min(torch.finfo(found.dtype).tiny)).numpy()
    return normal


def last_map(network: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
    """Run `network`; return its logits and the last (N, C, h, w) that any layer gave, None without one."""
    maps: list[Tensor] = []

    def keep(_layer: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output.shape[2:].numel() > 1:
            maps[:] = [output]

    hooks = [layer.register_forward_hook(keep) for layer in network.modules()]
    try:
        with torch.enable_grad():
            logits = network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return logits, maps[0] if maps else None
