"""The input of the digit networks."""

from torch import Tensor, nn


class Gray(nn.Module):
    """Average the channels: the paper's grey digits stay, colour photos become grey."""

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 1, H, W)."""
        return images.mean(1, keepdim=True)
