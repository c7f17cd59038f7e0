"""Wider: Inception-v1 and ResNeXt."""

from dataclasses import replace

from handlens.zoo.catalog import Architecture

CARDS: list[Architecture] = []

RESNEXT = Architecture(
    name="resnext50_32x4d",
    family="ResNeXt",
    paper="Xie et al., arXiv:1611.05431",
    year=2016,
    idea="Many narrow parallel paths (cardinality) beat a deeper or wider block of the same cost.",
    builder="resnet:resnet",
    head=("fc",),
    library="torchvision",
    params=25_028_904,
    macs=4_230_479_872,
    params_paper="25.0M",
    macs_paper="4.1G",
    top1_paper="77.8",
    imagenet="torchvision:resnext50_32x4d",
    arguments={"layers": (3, 4, 6, 3), "groups": 32, "base_width": 4},
)
CARDS.append(RESNEXT)
CARDS.append(
    replace(
        RESNEXT,
        name="resnext101_32x4d",
        params=44_177_704,
        macs=7_969_996_800,
        params_paper="44.3M",
        macs_paper="7.8G",
        top1_paper="78.8",
        imagenet="",
        arguments={"layers": (3, 4, 23, 3), "groups": 32, "base_width": 4},
    )
)
CARDS.append(
    replace(
        RESNEXT,
        name="resnext101_64x4d",
        params=83_455_272,
        macs=15_460_270_080,
        params_paper="-",
        macs_paper="15.6G",
        top1_paper="79.6",
        imagenet="torchvision:resnext101_64x4d",
        arguments={"layers": (3, 4, 23, 3), "groups": 64, "base_width": 4},
    )
)
