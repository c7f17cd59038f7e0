"""Training in simulated 8 bits, on textures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from textures import CLASSES, ONE, contract_of, recipe_of, split_table, trainer_of, write_store
from torch import nn

from handlens import checkpoint, fitting, quantaware, zoo
from handlens.export import build
from handlens.export.metadata import Metadata
from handlens.export.parity import Limits
from handlens.pixels import PixelStore
from handlens.preprocessing import Classifier

STRICT = Limits(min_agreement=1.0, max_difference=0.0, max_accuracy_drop=0.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, checkpoint.Card, PixelStore]:
    """A trained network, its card, and pixels of all photos."""
    place = tmp_path_factory.mktemp("trained")
    trainer = trainer_of(place, epochs=8)
    list(trainer.run())
    card = fitting.describe(
        trainer, model="t", recipe=recipe_of(), contract=contract_of(split_table()), seed=3
    )
    return trainer.best_network(), card, trainer.batches.store


def test_weights_are_rounded_per_output_channel() -> None:
    weight = torch.tensor([[1.0, -0.51, 0.009], [0.0, 0.0, 0.0], [100.0, 0.8, -100.0]])
    given = quantaware.RoundedWeight()(weight)
    torch.testing.assert_close(given[0], torch.tensor([63.0, -32.0, 1.0]) / 63)
    assert not given[1].any()
    torch.testing.assert_close(given[2], torch.tensor([100.0, 100 / 63, -100.0]))


def test_weights_learn_through_the_rounding() -> None:
    layer = nn.Conv2d(3, 4, 3)
    network = nn.Sequential(layer)
    quantaware.round_all(network)
    network(torch.rand(2, 3, 8, 8)).square().sum().backward()
    gradient = layer.parametrizations.weight.original.grad  # type: ignore[union-attr]
    assert gradient is not None
    assert gradient.abs().min() > 0


def test_inputs_are_rounded_over_the_range_seen_in_training() -> None:
    rounding = quantaware.RoundedInput()
    rounding(torch.tensor([-1.0, 1.55]))
    assert (rounding.low.item(), rounding.high.item()) == pytest.approx((-1.0, 1.55))
    rounding.eval()
    given = rounding(torch.tensor([-7.0, 0.0, 0.014, 0.016, 7.0]))
    torch.testing.assert_close(given, torch.tensor([-1.0, 0.0, 0.01, 0.02, 1.55]))
    rounding.train()
    rounding(torch.tensor([5.0, 6.55]))
    assert (rounding.low.item(), rounding.high.item()) == pytest.approx((-0.95, 1.8))


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2", "squeezenet1_1", "resnet18"])
def test_a_rounded_network_answers_nearly_as_before(name: str) -> None:
    """Frozen norms change nothing; rounding changes the answers a little."""
    torch.manual_seed(0)
    network = zoo.build(name, 3).eval()
    images = torch.randn(4, 3, 64, 64)
    with torch.inference_mode():
        plain = network(images)
        quantaware.freeze_norms(network)
        torch.testing.assert_close(network(images), plain, rtol=1e-4, atol=1e-5)
        quantaware.round_all(network)
        network.train().apply(lambda m: m.eval() if isinstance(m, nn.Dropout) else None)
        network(images)
        rounded = network.eval()(images)
    error = (rounded - plain).norm() / plain.norm()
    assert 0 < error < 0.2


def test_the_network_comes_back_in_float32(
    trained: tuple[nn.Module, checkpoint.Card, PixelStore],
) -> None:
    network, card, store = trained
    before = {name: value.clone() for name, value in network.state_dict().items()}
    tuned = quantaware.fine_tune(network, card, split_table(), card.contract, store, epochs=1, processes=ONE)
    after = tuned.state_dict()
    assert list(after) == list(before)
    assert not any(isinstance(module, quantaware.RoundedInput) for module in tuned.modules())
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "running" not in " ".join(changed)
    assert {name for name, module in network.named_modules() if module in quantaware.layers(network)} <= {
        name.rsplit(".", 1)[0] for name in changed
    }
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def export(trained: tuple[nn.Module, checkpoint.Card, PixelStore], folder: Path, limits: Limits) -> Any:
    network, card, _ = trained
    table = split_table()
    store = write_store(folder, table.assign(split="train"))  # with the pixels of the test rows

    def train() -> nn.Module:
        return quantaware.fine_tune(network, card, table, card.contract, store, epochs=2, processes=ONE)

    metadata = Metadata(
        contract=card.contract, model="t", arch=card.arch, kind="", scores={}, weights="0" * 64, commit=""
    )
    return build.export(
        Classifier(network, card.contract).eval(), metadata, table, store,
        limits={"int8": limits, "int8_weights": limits}, calibration=24, vectors=8,
        fine_tune=build.FineTune(2, train),
    )  # fmt: skip


def test_int8_is_made_from_a_fine_tuned_network_only_if_it_misses(
    trained: tuple[nn.Module, checkpoint.Card, PixelStore], tmp_path: Path
) -> None:
    wide = Limits(min_agreement=0.1, max_difference=1.0, max_accuracy_drop=1.0)
    easy = export(trained, tmp_path / "easy", wide)
    assert [file.fine_tuned for file in easy.files] == [0, 0]
    hard = export(trained, tmp_path / "hard", STRICT)
    fine_tuned = {file.kind: file.fine_tuned for file in hard.files}
    assert fine_tuned == {"int8": 2, "int8_weights": 0}
    assert build.summary(hard)["int8_fine_tuned"] == 2
    (before,), (after,) = ([f for f in made.files if f.kind == "int8"] for made in (easy, hard))
    assert before.content != after.content
    assert after.parity.accuracy >= 0.8
    assert np.isfinite(after.probabilities).all()
    assert len(CLASSES) == after.probabilities.shape[1]
