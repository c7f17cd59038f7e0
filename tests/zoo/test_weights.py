"""Pretrained weights: library loaders, checkpoints, the new head, and what is refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from handlens import zoo
from handlens.errors import UserError
from handlens.zoo import building


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(20)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty $TORCH_HOME; returns the folder of checkpoints."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def squeezenet_file(cache: Path) -> dict[str, torch.Tensor]:
    """Put a state dict where torchvision looks for SqueezeNet 1.1's ImageNet weights."""
    state = zoo.build("squeezenet1_1", 1000).state_dict()
    torch.save(state, cache / "squeezenet1_1-b8a52dc0.pth")
    return state


def test_imagenet_loads_the_body_and_renews_the_head(cache: Path) -> None:
    state = squeezenet_file(cache)
    network = zoo.build("squeezenet1_1", 5, weights="imagenet")
    head = zoo.head_parameter_names(network)
    assert head == ["classifier.1.weight", "classifier.1.bias"]
    for name, value in network.state_dict().items():
        if name not in head:
            assert torch.equal(value, state[name]), name
    weight, bias = network.get_parameter(head[0]), network.get_parameter(head[1])
    bound = (6 / (512 + 5)) ** 0.5  # Xavier uniform
    assert 0.9 * bound < weight.abs().max() <= bound
    assert not bias.any()
    report = zoo.load_report(network)
    assert report.new == tuple(head)
    assert report.unused == ("classifier.1.bias", "classifier.1.weight")
    assert report.loaded == len(state) - 2


def test_imagenet_of_a_held_network(cache: Path) -> None:
    state = squeezenet_file(cache)
    network = zoo.build("stn", 5, weights="imagenet", backbone="squeezenet1_1")
    assert torch.equal(network.backbone.features[0].weight, state["features.0.weight"])
    report = zoo.load_report(network)
    assert zoo.head_parameter_names(network) == [
        "backbone.classifier.1.weight",
        "backbone.classifier.1.bias",
    ]
    assert set(zoo.head_parameter_names(network)) < set(report.new)
    assert "transformer.theta.weight" in report.new
    assert not network.transformer.theta.weight.any(), "the transformer still starts as the identity"


def test_a_broken_cached_file_names_itself(cache: Path) -> None:
    (cache / "squeezenet1_1-b8a52dc0.pth").write_bytes(b"half a download")
    with pytest.raises(UserError, match=r"squeezenet1_1 could not be loaded .*squeezenet1_1-b8a52dc0\.pth"):
        zoo.build("squeezenet1_1", 5, weights="imagenet")


def test_without_imagenet_weights_the_message_lists_who_has_them() -> None:
    with pytest.raises(UserError, match=r"tiny has no ImageNet weights.*mobilenet_v2"):
        zoo.build("tiny", 5, weights="imagenet")


def test_imagenet_weights_belong_to_the_default_options() -> None:
    with pytest.raises(UserError, match=r"belong to width 1\.0, not to 0\.5"):
        zoo.build("mobilenet_v2", 5, weights="imagenet", width=0.5)


@pytest.mark.parametrize("name", ["tiny", "googlenet", "stn"])
def test_a_checkpoint_loads_but_for_the_head(name: str, tmp_path: Path) -> None:
    options = {"backbone": "tiny"} if name == "stn" else {}
    state = zoo.build(name, 3, **options).state_dict()
    path = tmp_path / "模型 1.safetensors"
    save_file(state, path)
    network = zoo.build(name, 7, weights=str(path), **options)
    head = zoo.head_parameter_names(network)
    for key, value in network.state_dict().items():
        assert (key in head) or torch.equal(value, state[key]), key
    assert zoo.load_report(network).new == tuple(head)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


def test_a_checkpoint_of_another_network_lists_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_file(zoo.build("tiny", 3).state_dict(), path)
    with pytest.raises(UserError) as caught:
        zoo.build("resnet18", 3, weights=str(path))
    message = str(caught.value)
    assert "only in the network: bn1.bias" in message
    assert "only in the checkpoint: features.0.0.weight" in message
    with pytest.raises(UserError, match=r"features.0.0.weight \(8, 3, 3, 3\) against \(16, 3, 3, 3\)"):
        zoo.build("tiny", 3, weights=str(path), width=8)


def test_a_missing_or_broken_or_pickled_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        zoo.build("tiny", 3, weights=str(tmp_path / "none.safetensors"))
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\0" * 20)
    with pytest.raises(UserError, match=r"is not a whole \.safetensors file"):
        zoo.build("tiny", 3, weights=str(broken))
    with pytest.raises(UserError, match=r"expected imagenet, null or a path ending in \.safetensors"):
        zoo.build("tiny", 3, weights="model.pth")


@pytest.mark.parametrize("name", zoo.names())
def test_the_head_is_what_depends_on_the_classes(name: str) -> None:
    """The parameters whose shapes differ between 3 and 7 classes, no more and no less."""
    with torch.device("meta"):
        three, seven = zoo.build(name, 3), zoo.build(name, 7)
    others = dict(seven.named_parameters())
    differ = [key for key, value in three.named_parameters() if value.shape != others[key].shape]
    assert zoo.head_parameter_names(three) == differ


def test_initial_weights_come_from_the_global_generator() -> None:
    first = zoo.build("googlenet", 3).state_dict()
    torch.manual_seed(20)
    again = zoo.build("googlenet", 3).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    other = zoo.build("googlenet", 3).state_dict()
    assert not torch.equal(first["fc.weight"], other["fc.weight"])


def test_training_only_parameters_do_not_count(tmp_path: Path) -> None:
    network = zoo.build("googlenet", 10)
    counts = zoo.count(network, 32)
    auxiliary = sum(p.numel() for key, p in network.named_parameters() if key.startswith("aux"))
    assert counts.training_params - counts.params == auxiliary > 0
    assert building.origin(network).card.name == "googlenet"
