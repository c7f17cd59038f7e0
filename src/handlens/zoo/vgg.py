"""VGG, Simonyan and Zisserman 2014, arXiv:1409.1556, table 1 (A, B, D, E).

torchvision's layers and parameter names. Only the classifier is assembled here, so that its width can be
given: torchvision fixes it at 4096.
"""

from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers


class VGG(nn.Module):
    """3x3 convolutions in five steps of max pooling, then three linear layers on a 7x7 map."""

    def __init__(self, features: nn.Module, channels: int, hidden: int, num_classes: int) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(channels * 7 * 7, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to logits (N, classes)."""
        features: Tensor = self.avgpool(self.features(images))
        logits: Tensor = self.classifier(features.flatten(1))
        return logits


def vgg(
    num_classes: int, *, config: str, batch_norm: bool = False, width: int = 64, hidden: int = 4096
) -> nn.Module:
    """Build a column of table 1; `width` scales the paper's 64 to 512 channels."""
    layers = [size if size == "M" else size * width // 64 for size in cfgs[config]]
    network = VGG(make_layers(layers, batch_norm), 8 * width, hidden, num_classes)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return network
