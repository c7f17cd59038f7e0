import json
from pathlib import Path

import pytest
import torch
from textures import CLASSES, contract_of, split_table

from handlens import checkpoint, zoo
from handlens.checkpoint import CARD, WEIGHTS, Card
from handlens.errors import UserError


def card() -> Card:
    return Card(
        model="small",
        arch="tiny",
        options={"width": 4},
        contract=contract_of(split_table()),
        recipe={"lr": 0.1, "augment": {"crop_scale": (0.7, 1.0)}},
        seed=1,
        parameters=10,
        epochs=3,
        best_epoch=2,
        val_accuracy=0.5,
        val_macro_f1=0.4,
        val_loss=1.0,
        versions=checkpoint.versions(),
        commit=checkpoint.commit(),
        hardware=checkpoint.hardware(torch.device("cpu")),
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = zoo.build("tiny", len(CLASSES), width=4).to(memory_format=torch.channels_last)
    checkpoint.save(tmp_path / "small", network, card())
    return tmp_path / "small"


def test_a_model_comes_back_as_it_was(saved: Path) -> None:
    torch.manual_seed(0)
    want = zoo.build("tiny", len(CLASSES), width=4).eval()
    network, read = checkpoint.load(saved, contract_of(split_table()))
    assert not network.training
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(network(images), want(images))
    assert read.contract == card().contract
    assert read.options == {"width": 4}
    assert torch.__version__.startswith(read.versions["torch"])


def test_saving_twice_gives_the_same_bytes_readable_by_all_and_leaves_other_files(saved: Path) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    (saved / "export").mkdir()
    network, read = checkpoint.load(saved)
    checkpoint.save(saved, network, read)
    assert {name: (saved / name).read_bytes() for name in before} == before
    assert sorted(path.name for path in saved.iterdir()) == ["export", CARD, WEIGHTS]
    assert (saved / WEIGHTS).stat().st_mode & 0o444 == 0o444


def test_the_card_is_plain_json_with_class_names_in_utf8(saved: Path) -> None:
    text = (saved / CARD).read_text(encoding="utf-8")
    assert "across 横" in text
    assert json.loads(text)["recipe"]["augment"]["crop_scale"] == [0.7, 1.0]


def test_another_contract_is_refused(saved: Path) -> None:
    other = contract_of(split_table(), store_size=64, input_size=64)
    with pytest.raises(UserError, match=r"input_size: 32 against 64"):
        checkpoint.load(saved, other)


def test_weights_of_another_network_are_refused(saved: Path) -> None:
    text = (saved / CARD).read_text(encoding="utf-8")
    (saved / CARD).write_text(text.replace('"width": 4', '"width": 8'), encoding="utf-8")
    with pytest.raises(
        UserError, match=r"does not belong to .*model\.json: fc\.weight is \(3, 16\), expected"
    ):
        checkpoint.load(saved)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (WEIGHTS, b"\x80\x04K\x01.", r"weights\.safetensors is damaged"),
        (WEIGHTS, None, r"weights\.safetensors is missing"),
        (CARD, b"{}", r"model\.json is not a model card"),
        (CARD, b"\xff\xfe", r"model\.json is not a model card"),
        (CARD, None, r"model\.json is missing.*dvc repro' to train small"),
    ],
)
def test_missing_and_damaged_files_are_named(
    saved: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is None:
        (saved / name).unlink()
    else:
        (saved / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        checkpoint.load(saved)


def test_outside_a_repository_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert checkpoint.commit() is None
