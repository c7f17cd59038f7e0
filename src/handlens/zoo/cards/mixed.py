"""Channels and places: BAM, CBAM, Residual Attention, Dual Attention."""

from dataclasses import replace

from handlens.zoo.catalog import Architecture, Option

CARDS: list[Architecture] = []

RESNET18 = {"block": "basic", "layers": (2, 2, 2, 2)}
RESNET50 = {"layers": (3, 4, 6, 3)}

BAM = Architecture(
    name="bam_resnet18",
    family="BAM",
    paper="Park et al., arXiv:1807.06514",
    year=2018,
    idea="Between the stages, a map over channels and a map over places together amplify what matters.",
    builder="bam:bam_resnet",
    head=("fc",),
    library="own",
    params=11_712_503,
    macs=1_819_224_000,
    params_paper="11.71M",
    macs_paper="1.82G",
    top1_paper="71.1",
    arguments=RESNET18,
    deviations=("The two maps are multiplied as in the authors' code; the paper adds them.",),
)
CARDS.append(BAM)
CARDS.append(
    replace(
        BAM,
        name="bam_resnet50",
        params=25_915_099,
        macs=4_171_331_328,
        params_paper="25.92M",
        macs_paper="3.94G",
        top1_paper="76.0",
        arguments=RESNET50,
        deviations=(
            *BAM.deviations,
            "Stride 2 on the 3x3 convolution as in the authors' code (4.17G MACs; the paper counts 3.94G).",
        ),
    )
)
CBAM = Architecture(
    name="cbam_resnet18",
    family="CBAM",
    paper="Woo et al., arXiv:1807.06521",
    year=2018,
    idea="In every block, first which channels, then which places, from means and maxima.",
    builder="cbam:cbam_resnet",
    head=("fc",),
    library="own",
    params=11_779_392,
    macs=1_815_063_764,
    params_paper="11.78M",
    macs_paper="1.815G",
    top1_paper="70.7",
    arguments=RESNET18,
)
CARDS.append(CBAM)
CARDS.append(
    replace(
        CBAM,
        name="cbam_resnet50",
        params=28_089_624,
        macs=4_095_573_110,
        params_paper="28.09M",
        macs_paper="3.864G",
        top1_paper="77.3",
        arguments=RESNET50,
        deviations=(
            "Stride 2 on the 3x3 convolution as in the authors' code (4.10G MACs; the paper counts 3.86G).",
        ),
    )
)
ATTENTION = Architecture(
    name="attention56",
    family="Residual Attention",
    paper="Wang et al., arXiv:1704.06904",
    year=2017,
    idea="Stacked hourglass masks weigh the features by 1 + M, so that deep stacks keep their signal.",
    builder="attention:attention",
    head=("fc",),
    library="own",
    params=31_810_728,
    macs=6_270_836_736,
    params_paper="31.9M",
    macs_paper="6.2G",
    top1_paper="78.2",
    arguments={"modules": (1, 1, 1)},
)
CARDS.append(ATTENTION)
CARDS.append(
    replace(
        ATTENTION,
        name="attention92",
        params=52_466_344,
        macs=10_533_789_696,
        params_paper="51.3M",
        macs_paper="10.4G",
        top1_paper="80.5 (320 px)",
        arguments={"modules": (1, 2, 3)},
        deviations=("The paper's 51.3M is 1.1M below its own released network, which this equals.",),
    )
)
CARDS.append(
    replace(
        ATTENTION,
        name="attention_cifar",
        builder="attention:attention_cifar",
        params=2_214_168,
        macs=212_166_656,
        paper_size=32,
        params_paper="1.9M",
        macs_paper="-",
        top1_paper="95.0 (CIFAR-10)",
        arguments={},
        options={"modules": Option(2, "attention modules per stage: 1 is 56 layers, 2 is 92", low=1, high=6)},
        deviations=(
            "The layer list is derived from the paper's depths and parameter counts, which it meets with 10 "
            "classes (1,959,738).",
        ),
    )
)
DANET = Architecture(
    name="danet_resnet18",
    family="DANet",
    paper="Fu et al., arXiv:1809.02983",
    year=2018,
    idea="Self-attention twice: places gather from like places, channels from other channels.",
    builder="danet:danet",
    head=("fc",),
    library="own",
    params=12_801_738,
    macs=1_888_897_680,
    arguments=RESNET18,
    deviations=(
        "An adaptation: the paper segments. Output stride 32, global average pooling and a linear layer in "
        "place of the segmentation's convolution.",
    ),
)
CARDS.append(DANET)
CARDS.append(
    replace(
        DANET,
        name="danet_resnet50",
        params=47_946_410,
        macs=5_286_832_704,
        arguments=RESNET50,
    )
)
