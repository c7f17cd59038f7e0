"""Parameters and MACs equal the table of published and reference counts, to the unit.

`architectures.csv` holds one row per network that was counted in a reference implementation or by hand from
the paper's layer list. Every row is either computed here or listed with the reason why not.
"""

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from handlens import zoo
from handlens.zoo import building
from handlens.zoo.counting import count_macs

with (Path(__file__).parent / "architectures.csv").open(encoding="utf-8", newline="") as file:
    ROWS = {f"{row['name']}: {row['variant']}": row for row in csv.DictReader(file)}

OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "AlexNet: paper (groups=2, LRN), 227": ("alexnet_grouped", {}),
    "AlexNet: article: 96/256/384/384/256 ungrouped, LRN": ("alexnet", {}),
    "AlexNet: one weird trick (64/192/384/256/256)": ("alexnet_torchvision", {}),
    **{f"VGG: vgg{depth}": (f"vgg{depth}", {}) for depth in (11, 13, 16, 19)},
    **{f"ResNet: resnet{depth}": (f"resnet{depth}", {}) for depth in (18, 34, 50, 101, 152)},
    **{
        f"ResNet: resnet{depth} v1 (paper stride)": (f"resnet{depth}", {"paper_stride": True})
        for depth in (50, 101, 152)
    },
    "Inception-v1 (GoogLeNet): paper (5x5, bias, no BN, LRN), no aux": ("googlenet", {}),
    "Inception-v1 (GoogLeNet): BN, 3x3 in place of 5x5": ("googlenet_bn", {}),
    "ResNeXt: 50 32x4d": ("resnext50_32x4d", {}),
    "ResNeXt: 101 32x4d": ("resnext101_32x4d", {}),
    "ResNeXt: 101 64x4d": ("resnext101_64x4d", {}),
    "STN: ST-CNN Aff, MNIST 28x28, 64 filters": ("stn_mnist", {}),
    "DCN: coarse model only": ("dcn_mnist", {"part": "coarse"}),
    "DCN: fine model only": ("dcn_mnist", {"part": "fine"}),
    "SENet: SE-ResNet-18": ("seresnet18", {}),
    "SENet: SE-ResNet-50 (paper stride)": ("seresnet50", {}),
    "SENet: SE-ResNet-101": ("seresnet50", {"layers": (3, 4, 23, 3)}),
    "SENet: SE-ResNet-152": ("seresnet50", {"layers": (3, 8, 36, 3)}),
    "SENet: SENet-154": ("senet154", {}),
    "SKNet: SKNet-50": ("sknet50", {}),
    "SKNet: SKNet-101": ("sknet50", {"layers": (3, 4, 23, 3)}),
    "ResNeSt: ResNeSt-50 (2s1x64d)": ("resnest50", {}),
    "ResNeSt: ResNeSt-101": ("resnest50", {"layers": (3, 4, 23, 3), "stem_width": 64}),
    "ResNeSt: ResNeSt-14 (gluon)": ("resnest14", {}),
    "CBAM: ResNet-18 + CBAM": ("cbam_resnet18", {}),
    "CBAM: ResNet-50 + CBAM": ("cbam_resnet50", {}),
    "BAM: ResNet-18 + BAM": ("bam_resnet18", {}),
    "BAM: ResNet-50 + BAM": ("bam_resnet50", {}),
    "Residual Attention Network: Attention-56": ("attention56", {}),
    "Residual Attention Network: Attention-92": ("attention92", {}),
    "Residual Attention Network: CIFAR Attention-92 (m=2)": ("attention_cifar", {"modules": 2}),
    "Residual Attention Network: CIFAR Attention-236 (m=6)": ("attention_cifar", {"modules": 6}),
    "DANet: classification head on ResNet-18, OS32, no aux": ("danet_resnet18", {}),
    "DANet: classification head on ResNet-50, OS32, no aux": ("danet_resnet50", {}),
    "DANet: classification head on ResNet-101, OS32, no aux": (
        "danet_resnet50",
        {"layers": (3, 4, 23, 3)},
    ),
    "Xception: Xception": ("xception", {}),
    **{
        f"MobileNetV1: {width}-224": ("mobilenet_v1", {"width": float(width)})
        for width in ("1.0", "0.75", "0.5", "0.25")
    },
    **{f"MobileNetV2: {width}": ("mobilenet_v2", {"width": float(width)}) for width in ("1.0", "1.4")},
    **{
        f"ShuffleNetV1: 1x g={groups} ({widths})": ("shufflenet_v1", {"groups": groups})
        for groups, widths in (
            (1, "144/288/576"),
            (2, "200/400/800"),
            (3, "240/480/960"),
            (4, "272/544/1088"),
            (8, "384/768/1536"),
        )
    },
    "ShuffleNetV1: 0.5x g=3": ("shufflenet_v1", {"width": 0.5}),
    "ShuffleNetV1: 1.5x g=3": ("shufflenet_v1", {"width": 1.5}),
    "ShuffleNetV1: 2x g=3": ("shufflenet_v1", {"width": 2.0}),
    "ShuffleNetV2: 0.5x": ("shufflenet_v2_x0_5", {}),
    "ShuffleNetV2: 1.0x": ("shufflenet_v2", {}),
    "ShuffleNetV2: 1.5x": ("shufflenet_v2_x1_5", {}),
    "ShuffleNetV2: 2.0x": ("shufflenet_v2_x2_0", {}),
    "SqueezeNet: 1.0": ("squeezenet1_0", {}),
    "SqueezeNet: 1.1": ("squeezenet1_1", {}),
}
APART = {  # counted in tests of their own below
    "Inception-v1 (GoogLeNet): paper with 2 aux heads",
    "DCN: Cluttered MNIST, k=8 patches, no BN",
}
NOT_OURS = {
    "STN: ST-CNN Single, SVHN 64x64": "reads five digits, not one class",
    "STN: ST-CNN Multi, SVHN 64x64": "reads five digits, not one class",
    "STN: PyTorch tutorial STN (MNIST)": "not the paper's network",
    "SENet: SE-ResNet-50 v1.5": "not the paper's stride",
    "SENet: SE-ResNeXt-50 32x4d": "not in the zoo",
    "SKNet: skresnet50 (timm invention)": "not a paper's network",
    "CBAM: ResNet-50 + CBAM via timm attn_layer": "lacks the authors' biases",
    "DANet: segmentation, ResNet-50-D, 19 classes": "segments",
}
BIAS_LESS = {"ShuffleNetV1: 1.5x g=3", "ShuffleNetV1: 2x g=3"}  # the row has no bias in its last layer
TEN_CLASSES = ("STN:", "DCN:", "Residual Attention Network: CIFAR")


def on_meta(name: str, num_classes: int, changes: dict[str, Any]) -> torch.nn.Module:
    """Build without numbers; `changes` are options or another table row of the same builder."""
    card = zoo.describe(name)
    with torch.device("meta"):
        return building.construct(
            replace(card, arguments={**card.arguments, **changes}), num_classes, {}
        ).eval()


def test_every_row_is_accounted_for() -> None:
    assert ROWS.keys() == OURS.keys() | APART | NOT_OURS.keys()


@pytest.mark.parametrize("row", OURS)
def test_counts_equal_the_table(row: str) -> None:
    expected = ROWS[row]
    name, changes = OURS[row]
    network = on_meta(name, 10 if row.startswith(TEN_CLASSES) else 1000, changes)
    only = zoo.describe(name).training_only or ("\0",)
    sizes = [value.numel() for key, value in network.named_parameters() if not key.startswith(only)]
    bias = 1000 if row in BIAS_LESS else 0
    assert sum(sizes) == int(expected["params_lib"]) + bias
    size = int(re.match(r"\d+", expected["input"]).group())
    assert count_macs(network, size) == int(expected["macs_lib"])


def test_googlenet_with_auxiliary_heads_equals_the_table() -> None:
    row = ROWS["Inception-v1 (GoogLeNet): paper with 2 aux heads"]
    network = on_meta("googlenet", 1000, {}).train()
    assert sum(value.numel() for value in network.parameters()) == int(row["params_lib"])
    with FlopCounterMode(display=False) as counter:
        zoo.training_loss(network, torch.empty(1, 3, 224, 224, device="meta"), torch.sum)
    assert counter.get_total_flops() // 2 == int(row["macs_lib"])


def test_dcn_equals_the_table_but_for_the_saliency_which_it_leaves_out() -> None:
    row = ROWS["DCN: Cluttered MNIST, k=8 patches, no BN"]
    network = on_meta("dcn_mnist", 10, {})
    assert sum(value.numel() for value in network.parameters()) == int(row["params_lib"])
    saliency = 96 * 10 + 10 * 10 * 96 * 24 * 4 * 4  # back through the linear layer and the top convolution
    assert count_macs(network, 100) == int(row["macs_lib"]) + saliency


@pytest.mark.parametrize("name", zoo.names())
def test_cards_tell_what_the_networks_count(name: str) -> None:
    card = zoo.describe(name)
    with torch.device("meta"):
        network = zoo.build(name, 1000)
    counts = zoo.count(network, card.paper_size)
    assert (counts.params, counts.macs) == (card.params, card.macs)
    assert network.training, "counting leaves the mode as it was"
