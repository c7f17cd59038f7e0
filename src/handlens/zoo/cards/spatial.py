"""Where to look: Spatial Transformer and Dynamic Capacity Network."""

from dataclasses import replace

from handlens.zoo.catalog import Architecture, Option

CARDS: list[Architecture] = []

STN = Architecture(
    name="stn_mnist",
    family="Spatial Transformer",
    paper="Jaderberg et al., arXiv:1506.02025",
    year=2015,
    idea="A small network chooses an affine map and the image is resampled through it before it is read.",
    builder="stn:stn_mnist",
    head=("fc",),
    library="own",
    params=474_102,
    macs=5_601_384,
    paper_size=28,
    top1_paper="99.3 (rotated MNIST)",
    min_size=28,
    options={
        "filters": Option(64, "channels of the two convolutions", low=1, high=256),
        "transformer": Option(True, "false: the plain network", choices=(False, True)),
    },
    deviations=(
        "219,672 parameters with the paper's 10 classes; colour photos are averaged to grey, and above "
        "28 px the maps are pooled to the sizes of 28 px.",
    ),
)
CARDS.append(STN)
CARDS.append(
    replace(
        STN,
        name="stn",
        builder="stn:stn",
        head=(),
        params=11_979_950,
        macs=1_823_346_880,
        paper_size=224,
        top1_paper="-",
        min_size=32,
        options={"backbone": Option("resnet18", "the network behind it", nested=True)},
        deviations=(
            "The form for photos: the paper's SVHN localisation net on 32x32 px, with a tenth of its steps, "
            "in front of any network.",
        ),
    )
)

PART = Option("dcn", "coarse or fine: only those layers", choices=("dcn", "coarse", "fine"))
DCN = Architecture(
    name="dcn_mnist",
    family="Dynamic Capacity",
    paper="Almahairi et al., arXiv:1511.07838",
    year=2015,
    idea="A cheap network reads everything and says where an expensive one should look again.",
    builder="dcn:dcn_mnist",
    head=("top.fc",),
    library="own",
    params=158_248,
    macs=23_265_516,
    paper_size=100,
    macs_paper="27.7M",
    top1_paper="98.6 (cluttered MNIST)",
    options={
        "patches": Option(8, "positions that are read again", low=1, high=64),
        "hint": Option(0.01, "weight of the hint loss", low=0.0, high=10.0),
        "part": PART,
    },
    deviations=(
        "62,218 parameters with the paper's 10 classes; MACs include the saliency's backward pass. Colour "
        "photos are averaged to grey.",
    ),
)
CARDS.append(DCN)
CARDS.append(
    replace(
        DCN,
        name="dcn",
        builder="dcn:dcn",
        params=611_784,
        macs=442_791_264,
        paper_size=224,
        macs_paper="-",
        top1_paper="-",
        options={**DCN.options, "patches": Option(16, DCN.options["patches"].meaning, low=1, high=64)},
        deviations=(
            "Our form for colour photos: the paper's geometry with batch norm, widths 32 and 64 (coarse), "
            "32, 32, 64, 64, 64 (fine) and 96, 128, 128 (top).",
        ),
    )
)
