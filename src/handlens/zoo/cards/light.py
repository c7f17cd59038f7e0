"""Light: Xception, MobileNet, ShuffleNet, SqueezeNet, and the test network."""

from dataclasses import replace

from handlens.zoo.catalog import Architecture, Option

CARDS: list[Architecture] = []

CARDS.append(
    Architecture(
        name="xception",
        family="Xception",
        paper="Chollet, arXiv:1610.02357",
        year=2016,
        idea="Channels and space are separate: a convolution per channel, then a 1x1 across channels.",
        builder="xception:xception",
        head=("fc",),
        library="timm",
        params=22_855_952,
        macs=8_357_403_496,
        paper_size=299,
        params_paper="22,855,952",
        top1_paper="79.0",
        imagenet="timm:legacy_xception",
    )
)
CARDS.append(
    Architecture(
        name="mobilenet_v1",
        family="MobileNet",
        paper="Howard et al., arXiv:1704.04861",
        year=2017,
        idea="Depthwise separable convolutions throughout, and one knob for the width.",
        builder="mobilenet:mobilenet_v1",
        head=("classifier",),
        library="timm",
        params=4_231_976,
        macs=568_740_352,
        params_paper="4.2M",
        macs_paper="569M",
        top1_paper="70.6",
        imagenet="timm:mobilenetv1_100",
        options={"width": Option(1.0, "all channels times this", choices=(0.25, 0.5, 0.75, 1.0))},
        deviations=("ReLU6 as in the authors' code; the paper says ReLU.",),
    )
)
CARDS.append(
    Architecture(
        name="mobilenet_v2",
        family="MobileNet",
        paper="Sandler et al., arXiv:1801.04381",
        year=2018,
        idea="Inverted residuals: widen, filter per channel, and project back without a ReLU.",
        builder="mobilenet:mobilenet_v2",
        head=("classifier.1",),
        library="torchvision",
        params=3_504_872,
        macs=300_774_272,
        params_paper="3.4M",
        macs_paper="300M",
        top1_paper="72.0",
        imagenet="torchvision:mobilenet_v2",
        options={"width": Option(1.0, "all channels times this", choices=(0.35, 0.5, 0.75, 1.0, 1.4))},
        deviations=("The paper's 6.9M parameters at width 1.4 are 6.1M here and in its code.",),
    )
)
CARDS.append(
    Architecture(
        name="shufflenet_v1",
        family="ShuffleNet",
        paper="Zhang et al., arXiv:1707.01083",
        year=2017,
        idea="Grouped 1x1 convolutions, and a shuffle of the channels that lets the groups talk.",
        builder="shufflenet:shufflenet_v1",
        head=("fc",),
        library="own",
        params=1_865_728,
        macs=137_460_672,
        params_paper="1.9M",
        macs_paper="137M",
        top1_paper="67.4",
        options={
            "groups": Option(3, "groups of the 1x1 convolutions", choices=(1, 2, 3, 4, 8)),
            "width": Option(1.0, "all channels times this", choices=(0.5, 1.0, 1.5, 2.0)),
        },
        deviations=("The last layer has a bias, which the authors' code leaves out.",),
    )
)
SHUFFLENET_V2 = Architecture(
    name="shufflenet_v2",
    family="ShuffleNet",
    paper="Ma et al., arXiv:1807.11164",
    year=2018,
    idea="Split the channels, keep half as they are, shuffle: designed by measured speed, not by FLOPs.",
    builder="shufflenet:shufflenet_v2",
    head=("fc",),
    library="torchvision",
    params=0,
    macs=0,
    deviations=(
        "Both branches of a stride-2 unit have half the output's channels and the last layer has a bias, "
        "unlike the authors' code, which gives 41/146/299/591M MACs.",
    ),
)
for suffix, channels, params, macs, paper in (
    ("_x0_5", (24, 48, 96, 192, 1024), 1_366_792, 40_476_448, ("1.4M", "41M", "61.1")),
    ("", (24, 116, 232, 464, 1024), 2_278_604, 144_907_992, ("2.3M", "146M", "69.4")),
    ("_x1_5", (24, 176, 352, 704, 1024), 3_503_624, 295_759_392, ("3.5M", "299M", "72.6")),
    ("_x2_0", (24, 244, 488, 976, 2048), 7_393_996, 583_253_464, ("7.4M", "591M", "75.0")),
):
    CARDS.append(
        replace(
            SHUFFLENET_V2,
            name=f"shufflenet_v2{suffix}",
            params=params,
            macs=macs,
            params_paper=paper[0],
            macs_paper=paper[1],
            top1_paper=paper[2],
            imagenet=f"torchvision:shufflenet_v2{suffix or '_x1_0'}",
            arguments={"channels": channels},
        )
    )
SQUEEZENET = Architecture(
    name="squeezenet1_0",
    family="SqueezeNet",
    paper="Iandola et al., arXiv:1602.07360",
    year=2016,
    idea="Squeeze with 1x1, expand with 1x1 and 3x3: AlexNet's accuracy with 50 times fewer weights.",
    builder="squeezenet:squeezenet",
    head=("classifier.1",),
    library="torchvision",
    params=1_248_424,
    macs=818_924_576,
    params_paper="1.25M",
    macs_paper="833M",
    top1_paper="57.5",
    imagenet="torchvision:squeezenet1_0",
    arguments={"version": "1_0"},
    deviations=("Counted at 224 px; the authors' prototxt takes 227 (861,339,936 MACs).",),
)
CARDS.append(SQUEEZENET)
CARDS.append(
    replace(
        SQUEEZENET,
        name="squeezenet1_1",
        params=1_235_496,
        macs=349_151_936,
        params_paper="-",
        macs_paper="360M",
        top1_paper="-",
        imagenet="torchvision:squeezenet1_1",
        arguments={"version": "1_1"},
        deviations=("Not in the paper: the authors' later release, 2.4 times cheaper than 1.0.",),
    )
)
CARDS.append(
    Architecture(
        name="tiny",
        family="tiny",
        paper="none",
        year=2026,
        idea="A test network that proves the chain in seconds.",
        builder="tiny:tiny",
        head=("fc",),
        library="own",
        params=88_696,
        macs=6_367_744,
        paper_size=96,
        options={"width": Option(16, "channels of the first convolution", low=1, high=256)},
    )
)
