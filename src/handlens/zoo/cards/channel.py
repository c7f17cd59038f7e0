"""Which channels: SENet, SKNet, ResNeSt."""

from dataclasses import replace

from handlens.zoo.catalog import Architecture

CARDS: list[Architecture] = []

SENET = Architecture(
    name="seresnet18",
    family="SENet",
    paper="Hu et al., arXiv:1709.01507",
    year=2017,
    idea="Squeeze each channel to one number, and let these decide how loud every channel is.",
    builder="senet:seresnet",
    head=("last_linear",),
    library="timm",
    params=11_778_592,
    macs=1_814_160_384,
    imagenet="timm:legacy_seresnet18",
    arguments={"block": "basic", "layers": (2, 2, 2, 2)},
)
CARDS.append(SENET)
CARDS.append(
    replace(
        SENET,
        name="seresnet50",
        params=28_088_024,
        macs=3_860_488_192,
        params_paper="28.1M",
        macs_paper="3.87G",
        top1_paper="77.6",
        imagenet="timm:legacy_seresnet50",
        arguments={"layers": (3, 4, 6, 3)},
    )
)
CARDS.append(
    replace(
        SENET,
        name="senet154",
        builder="senet:senet154",
        params=115_088_984,
        macs=20_688_363_520,
        macs_paper="20.7G",
        top1_paper="81.3",
        imagenet="timm:legacy_senet154",
        arguments={},
    )
)
CARDS.append(
    Architecture(
        name="sknet50",
        family="SKNet",
        paper="Li et al., arXiv:1903.06586",
        year=2019,
        idea="Each channel chooses between a 3x3 and a 5x5 view by what both see.",
        builder="sknet:sknet",
        head=("fc",),
        library="timm",
        params=27_479_784,
        macs=4_462_710_784,
        params_paper="27.5M",
        macs_paper="4.47G",
        top1_paper="79.2",
        imagenet="timm:skresnext50_32x4d",
        arguments={"layers": (3, 4, 6, 3)},
    )
)
RESNEST = Architecture(
    name="resnest14",
    family="ResNeSt",
    paper="Zhang et al., arXiv:2004.08955",
    year=2020,
    idea="Channel attention between the splits inside every group of a ResNeXt block.",
    builder="resnest:resnest",
    head=("fc",),
    library="timm",
    params=0,
    macs=0,
)
SMALL = ("Not in the paper: the authors' smaller release.",)
for depth, layers, params, macs, paper, deviations in (
    (14, (1, 1, 1, 1), 10_611_688, 2_749_405_184, ("-", "-", "-"), SMALL),
    (26, (2, 2, 2, 2), 17_069_448, 3_623_391_232, ("-", "-", "-"), SMALL),
    (50, (3, 4, 6, 3), 27_483_240, 5_371_160_576, ("27.5M", "5.39G", "81.0"), ()),
):
    CARDS.append(
        replace(
            RESNEST,
            name=f"resnest{depth}",
            params=params,
            macs=macs,
            params_paper=paper[0],
            macs_paper=paper[1],
            top1_paper=paper[2],
            imagenet=f"timm:resnest{depth}d",
            arguments={"layers": layers},
            deviations=deviations,
        )
    )
