"""What happens to stored pixels before a network, the same code for training, evaluation and export."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handlens.contract import Contract


class Preprocess(nn.Module):
    """uint8 (N, store, store, 3) RGB to normalised float32 (N, 3, input, input), as the contract says."""

    scale: Tensor
    shift: Tensor

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.resize = contract.input_size != contract.store_size
        self.input_size = contract.input_size
        low, high = contract.value_range
        # (x / 255 * (high - low) + low - mean) / std, folded into one multiply and one add
        scale = torch.tensor([(high - low) / 255 / std for std in contract.std])
        shift = torch.tensor(
            [(low - mean) / std for mean, std in zip(contract.mean, contract.std, strict=True)]
        )
        self.register_buffer("scale", scale.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Turn a batch of stored squares into the network's input."""
        x = pixels.permute(0, 3, 1, 2).float()
        if self.resize:
            size = (self.input_size, self.input_size)
            x = F.interpolate(x, size=size, mode="bilinear", antialias=True)
        return x * self.scale + self.shift


class Classifier(nn.Module):
    """uint8 (N, store, store, 3) RGB to probabilities (N, classes): what ships, in one module."""

    def __init__(self, network: nn.Module, contract: Contract) -> None:
        super().__init__()
        self.preprocess = Preprocess(contract)
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """Predict class probabilities."""
        return torch.softmax(self.network(self.preprocess(pixels)), dim=1)
