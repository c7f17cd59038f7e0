"""Deeper: AlexNet, VGG, ResNet."""

from dataclasses import replace

from handlens.zoo.catalog import Architecture, Option

CARDS: list[Architecture] = []

HE_INIT = "Initialised after He et al. 2015; the paper's N(0, 0.01) needs its long training to leave zero."

ALEXNET = Architecture(
    name="alexnet",
    family="AlexNet",
    paper="Krizhevsky, Sutskever and Hinton, NIPS 2012",
    year=2012,
    idea="A deep convolutional net with ReLU, dropout and GPUs wins ImageNet.",
    builder="alexnet:alexnet",
    head=("classifier.6",),
    library="own",
    params=62_378_344,
    macs=1_135_256_096,
    paper_size=227,
    min_size=39,
    deviations=(
        "The article's form: the paper's widths (60M parameters, 720M MACs) without its split over two GPUs.",
        HE_INIT,
    ),
)
CARDS.append(ALEXNET)
CARDS.append(
    replace(
        ALEXNET,
        name="alexnet_grouped",
        arguments={"groups": 2},
        params=60_965_224,
        macs=724_406_816,
        params_paper="60M",
        macs_paper="720M",
        top1_paper="59.3",
        deviations=("The paper says 224 px, its layer sizes need 227.", HE_INIT),
    )
)
CARDS.append(
    replace(
        ALEXNET,
        name="alexnet_torchvision",
        paper="Krizhevsky, arXiv:1404.5997",
        year=2014,
        builder="alexnet:alexnet_torchvision",
        library="torchvision",
        params=61_100_840,
        macs=714_188_480,
        paper_size=224,
        min_size=63,
        imagenet="torchvision:alexnet",
        deviations=(
            "Not the net of 2012: 64/192/384/256/256 channels, no groups, no response normalisation.",
        ),
    )
)

VGG = Architecture(
    name="vgg11",
    family="VGG",
    paper="Simonyan and Zisserman, arXiv:1409.1556",
    year=2014,
    idea="Depth from nothing but 3x3 convolutions: two see 5x5, three see 7x7, with fewer weights.",
    builder="vgg:vgg",
    head=("classifier.6",),
    library="torchvision",
    params=0,
    macs=0,
)
for depth, config, params, macs, paper in (
    (11, "A", 132_863_336, 7_609_090_048, ("133M", "-", "70.4")),
    (13, "B", 133_047_848, 11_308_466_176, ("133M", "-", "71.3")),
    (16, "D", 138_357_544, 15_470_264_320, ("138M", "15.3G", "74.4")),
    (19, "E", 143_667_240, 19_632_062_464, ("144M", "-", "74.5")),
):
    plain = replace(
        VGG,
        name=f"vgg{depth}",
        params=params,
        macs=macs,
        params_paper=paper[0],
        macs_paper=paper[1],
        top1_paper=paper[2],
        imagenet=f"torchvision:vgg{depth}",
        arguments={"config": config},
    )
    norms = {11: 5_504, 13: 5_888, 16: 8_448, 19: 11_008}[depth]
    CARDS.append(plain)
    CARDS.append(
        replace(
            plain,
            name=f"vgg{depth}_bn",
            params=params + norms,
            params_paper="-",
            macs_paper="-",
            top1_paper="-",
            imagenet=f"torchvision:vgg{depth}_bn",
            arguments={"config": config, "batch_norm": True},
            deviations=("Batch normalisation after every convolution is later than the paper.",),
        )
    )

PAPER_STRIDE = Option(
    default=False,
    meaning="stride 2 on the first 1x1 convolution as in the paper (231M MACs fewer)",
    choices=(False, True),
)
RESNET = Architecture(
    name="resnet18",
    family="ResNet",
    paper="He et al., arXiv:1512.03385",
    year=2015,
    idea="Layers learn what to add to their input, so hundreds of them still train.",
    builder="resnet:resnet",
    head=("fc",),
    library="torchvision",
    params=0,
    macs=0,
)
PROJECTIONS = "Shortcuts that change size are projections (the paper's option B)."
for depth, layers, params, macs, paper in (
    (18, (2, 2, 2, 2), 11_689_512, 1_814_073_344, ("-", "1.8G", "72.1")),
    (34, (3, 4, 6, 3), 21_797_672, 3_663_761_408, ("-", "3.6G", "75.5")),
):
    CARDS.append(
        replace(
            RESNET,
            name=f"resnet{depth}",
            params=params,
            macs=macs,
            params_paper=paper[0],
            macs_paper=paper[1],
            top1_paper=paper[2],
            imagenet=f"torchvision:resnet{depth}",
            arguments={"block": "basic", "layers": layers},
            deviations=(PROJECTIONS,),
        )
    )
for depth, layers, params, macs, paper in (
    (50, (3, 4, 6, 3), 25_557_032, 4_089_184_256, ("25.6M", "3.8G", "77.2")),
    (101, (3, 4, 23, 3), 44_549_160, 7_801_405_440, ("-", "7.6G", "78.3")),
    (152, (3, 8, 36, 3), 60_192_808, 11_513_626_624, ("-", "11.3G", "78.6")),
):
    CARDS.append(
        replace(
            RESNET,
            name=f"resnet{depth}",
            params=params,
            macs=macs,
            params_paper=paper[0],
            macs_paper=paper[1],
            top1_paper=paper[2],
            imagenet=f"torchvision:resnet{depth}",
            arguments={"layers": layers},
            options={"paper_stride": PAPER_STRIDE},
            deviations=(
                "Stride 2 sits on the 3x3 convolution (the paper: on the first 1x1), which costs "
                "231,211,008 MACs more; the option paper_stride undoes it.",
            ),
        )
    )
