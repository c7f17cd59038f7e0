"""Wider: Inception-v1 and ResNeXt."""

from dataclasses import replace

from handlens.zoo.catalog import Architecture

CARDS: list[Architecture] = []

GOOGLENET = Architecture(
    name="googlenet",
    family="Inception",
    paper="Szegedy et al., arXiv:1409.4842",
    year=2014,
    idea="Every layer looks with 1x1, 3x3 and 5x5 at once, made affordable by 1x1 reductions.",
    builder="googlenet:googlenet",
    head=("fc", "aux1.fc2", "aux2.fc2"),
    library="own",
    params=6_998_552,
    macs=1_582_671_872,
    params_paper="6.8M",
    macs_paper="1.5G",
    top1_paper="top-5 89.9",
    training_only=("aux1", "aux2"),
    deviations=(
        "Table 1 counts the first convolution as 2.7K parameters and 34M MACs; 7x7x3x64 is 9.4K and 118M.",
        "Initialised after He et al. 2015, which trains without the paper's long schedule.",
    ),
)
CARDS.append(GOOGLENET)
CARDS.append(
    replace(
        GOOGLENET,
        name="googlenet_bn",
        builder="googlenet:googlenet_bn",
        library="torchvision",
        params=6_624_904,
        macs=1_498_376_192,
        params_paper="-",
        macs_paper="-",
        top1_paper="-",
        imagenet="torchvision:googlenet",
        deviations=(
            "Batch norm in place of biases and response normalisation, and 3x3 in place of the nine 5x5.",
        ),
    )
)

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
