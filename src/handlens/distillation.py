"""Distillation: a student learns from the labels and from what a trained model, its teacher, says.

Hinton, Vinyals and Dean 2015, arXiv:1503.02531. The teacher looks at the very crops, flips and mixtures that
the student sees, which teaches better than answers to the plain photos (Beyer et al. 2022,
arXiv:2106.05237).
"""

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handlens import checkpoint
from handlens.contract import Contract
from handlens.recipe import Student


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A trained network in eval mode, and how much its answers count.

    `temperature` divides the logits of both: above 1 it brings out what the teacher thinks of the classes
    that it does not choose. `weight` is the share of its answers in the loss, the labels have the rest.
    """

    network: nn.Module
    temperature: float
    weight: float

    @torch.no_grad()
    def answers(self, images: Tensor) -> Tensor:
        """Give softened probabilities (N, classes) for a normalised batch (N, 3, H, W)."""
        logits: Tensor = self.network(images)
        return (logits.float() / self.temperature).softmax(1)

    def loss(self, logits: Tensor, answers: Tensor, loss_of_labels: Tensor) -> Tensor:
        """Blend the cross-entropy of logits (N, classes) with the answers into the loss of the labels.

        The square of the temperature keeps the weight of the gradients (section 2 of the paper).
        """
        softened = F.cross_entropy(logits.float() / self.temperature, answers) * self.temperature**2
        return (1 - self.weight) * loss_of_labels + self.weight * softened


def teacher_of(network: nn.Module, device: torch.device, *, temperature: float, weight: float) -> Teacher:
    """Let a copy of a trained network teach on `device`."""
    frozen = copy.deepcopy(network).requires_grad_(False).eval()
    frozen = frozen.to(device).to(memory_format=torch.channels_last)
    return Teacher(network=frozen, temperature=temperature, weight=weight)


def load(folder: Path, contract: Contract, student: Student, device: torch.device) -> Teacher:
    """Load the model in `folder` as the teacher of `student` on `device`.

    Raises `UserError` when it is not there, or was trained for other classes or another preprocessing than
    `contract`.
    """
    network, _ = checkpoint.load(folder, contract)
    return teacher_of(network, device, temperature=student.temperature, weight=student.weight)
