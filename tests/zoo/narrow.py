"""Narrow variants of heavy networks: the same code with fewer layers or channels, so that CI can train it.

What is not listed is tested as it ships. Names whose variants are the same network (ResNet-50, -101 and
-152 with one block per stage) are tested once, under all their names.
"""

from dataclasses import replace

from torch import nn

from handlens.zoo import building, catalog

SHALLOW = {"layers": (1, 1, 1, 1)}
SHUFFLE = {"channels": (24, 48, 96, 192, 1024)}
NARROW = {
    "alexnet": {"width": 24, "hidden": 64},
    "alexnet_grouped": {"width": 24, "hidden": 64},
    **{f"vgg{depth}{norm}": {"width": 8, "hidden": 64} for depth in (11, 13, 16, 19) for norm in ("", "_bn")},
    **{f"resnet{depth}": SHALLOW for depth in (34, 50, 101, 152)},
    **{f"resnext{kind}": SHALLOW for kind in ("50_32x4d", "101_32x4d", "101_64x4d")},
    **dict.fromkeys(("seresnet18", "seresnet50", "senet154", "sknet50", "resnest26", "resnest50"), SHALLOW),
    **{f"{kind}_resnet{depth}": SHALLOW for kind in ("bam", "cbam", "danet") for depth in (18, 50)},
    "attention56": {"width": 32},
    "attention92": {"width": 32, "modules": (1, 1, 1)},
    "attention_cifar": {"width": 32, "modules": 1},
    **{f"shufflenet_v2{size}": SHUFFLE for size in ("", "_x0_5", "_x1_5", "_x2_0")},
}


def arguments(name: str) -> dict[str, object]:
    """Return the builder's arguments of the variant that is tested."""
    return {**catalog.describe(name).arguments, **NARROW.get(name, {})}


def build(name: str, num_classes: int = 2) -> nn.Module:
    """Build `name` as it ships, or its narrow variant."""
    narrow = replace(catalog.describe(name), arguments=arguments(name))
    return building.construct(narrow, num_classes, {})


def variants() -> dict[str, str]:
    """Map all names, joined where the tested network is the same, to one of them."""
    groups: dict[str, list[str]] = {}
    for name in catalog.names():
        key = f"{catalog.describe(name).builder} {sorted(arguments(name).items())}"
        groups.setdefault(key, []).append(name)
    return {"+".join(group): group[0] for group in groups.values()}
