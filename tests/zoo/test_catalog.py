"""Cards, options and the registry, and that none of this needs torch."""

import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from handlens import zoo
from handlens.cli import app
from handlens.errors import UserError
from handlens.zoo import catalog

ARTICLE = [
    "alexnet",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg16_bn",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "googlenet",
    "googlenet_bn",
    "resnext50_32x4d",
    "resnext101_32x4d",
    "stn_mnist",
    "stn",
    "dcn_mnist",
    "dcn",
    "seresnet18",
    "seresnet50",
    "senet154",
    "sknet50",
    "resnest14",
    "resnest26",
    "resnest50",
    "cbam_resnet18",
    "cbam_resnet50",
    "bam_resnet18",
    "bam_resnet50",
    "attention56",
    "attention92",
    "attention_cifar",
    "danet_resnet18",
    "danet_resnet50",
    "xception",
    "mobilenet_v1",
    "mobilenet_v2",
    "shufflenet_v1",
    "shufflenet_v2",
    "squeezenet1_0",
    "squeezenet1_1",
    "tiny",
]


def test_the_article_is_covered() -> None:
    assert set(ARTICLE) <= set(zoo.names())
    assert (zoo.names()[0], zoo.names()[-1]) == ("alexnet", "tiny")


def test_cards_are_read_without_torch() -> None:
    code = (
        "import sys; from handlens import zoo; "
        "zoo.check_options('stn', {'backbone': 'vgg11'}); zoo.require_size('stn', 96); "
        "sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_taken_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="'tiny' is registered already"):
        catalog.register(replace(zoo.describe("tiny"), family="another"))
    assert zoo.describe("tiny").family == "tiny"


@pytest.mark.parametrize("name", zoo.names())
def test_cards_are_complete(name: str) -> None:
    card = zoo.describe(name)
    assert card.library in ("torchvision", "timm", "own")
    assert card.idea.endswith(".")
    assert card.params > 0
    assert card.macs > 0
    assert card.head or any(option.nested for option in card.options.values())
    for option in card.options.values():
        assert option.accepts(option.default), option


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'resnet19' is not an architecture; did you mean resnet18\?"):
        zoo.describe("resnet19")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet18", {"width": 1.0}, "resnet18 has no option 'width'; it has none"),
        ("mobilenet_v1", {"widht": 1.0}, r"no option 'widht'; did you mean width\?"),
        ("mobilenet_v1", {"width": 0.6}, "width is 0.6, expected one of 0.25, 0.5, 0.75, 1.0"),
        ("mobilenet_v1", {"width": True}, "width is True, expected one of"),
        ("shufflenet_v1", {"groups": 5}, "groups is 5, expected one of 1, 2, 3, 4, 8"),
        ("resnet50", {"paper_stride": 1}, "paper_stride is 1, expected one of false, true"),
        ("dcn", {"patches": 0}, "patches is 0, expected a whole number from 1 to 64"),
        ("dcn", {"patches": 8.0}, "patches is 8.0, expected a whole number"),
        ("dcn", {"hint": "much"}, "hint is 'much', expected a number from 0 to 10"),
        ("stn", {"backbone": "resnet17"}, "'resnet17' is not an architecture"),
        ("stn", {"backbone": "stn"}, "backbone cannot be stn"),
        ("stn", {"backbone": 18}, "backbone is 18, expected the name of an architecture"),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        zoo.check_options(name, options)
    with pytest.raises(UserError, match=message):
        zoo.build(name, 2, **options)


def test_whole_numbers_stand_for_floats() -> None:
    zoo.check_options("mobilenet_v1", {"width": 1})
    zoo.check_options("dcn", {"hint": 0})


def test_an_inner_network_counts_for_the_smallest_size() -> None:
    assert zoo.min_size("stn") == 32
    assert zoo.min_size("stn", {"backbone": "alexnet_torchvision"}) == 63
    with pytest.raises(UserError, match="stn needs photos of at least 63 px, but input_size is 62"):
        zoo.require_size("stn", 62, {"backbone": "alexnet_torchvision"})


def test_the_command_line_lists_all() -> None:
    lines = CliRunner().invoke(app, ["zoo"]).output.splitlines()
    assert [line.split()[0] for line in lines[1 : len(zoo.names()) + 1]] == zoo.names()


def test_the_command_line_writes_json() -> None:
    import json

    rows = json.loads(CliRunner().invoke(app, ["zoo", "--json"]).output)
    assert [row["name"] for row in rows] == zoo.names()
    row = next(row for row in rows if row["name"] == "mobilenet_v2")
    wanted = {
        "family": "MobileNet",
        "params": 3_504_872,
        "macs": 300_774_272,
        "params_paper": "3.4M",
        "macs_paper": "300M",
        "top1_paper": "72.0",
        "library": "torchvision",
        "min_size": 32,
        "pretrained": ["imagenet"],
    }
    assert row.items() >= wanted.items()


def test_the_command_line_tells_about_one() -> None:
    output = CliRunner().invoke(app, ["zoo", "shufflenet_v1"]).output
    assert "groups: 3 (one of 1, 2, 3, 4, 8)" in output
    assert "arXiv:1707.01083" in output
