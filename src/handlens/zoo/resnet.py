"""ResNet, He et al. 2015, arXiv:1512.03385, table 1; ResNeXt, Xie et al. 2016, arXiv:1611.05431."""

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

BLOCKS = {"basic": BasicBlock, "bottleneck": Bottleneck}


def resnet(
    num_classes: int,
    *,
    block: str = "bottleneck",
    layers: tuple[int, ...],
    groups: int = 1,
    base_width: int = 64,
    paper_stride: bool = False,
) -> nn.Module:
    """Build a column of table 1; ResNeXt has `groups` paths of `base_width` channels.

    `paper_stride` puts the stride of 2 on the first 1x1 convolution, as the paper does, instead of the 3x3
    convolution.
    """
    network: nn.Module = ResNet(BLOCKS[block], layers, num_classes, groups=groups, width_per_group=base_width)
    if paper_stride:
        for unit in network.modules():
            if isinstance(unit, Bottleneck):
                unit.conv1.stride, unit.conv2.stride = unit.conv2.stride, unit.conv1.stride
    return network
