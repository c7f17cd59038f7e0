from pathlib import Path
from typing import Any

import psutil
import pytest
from textures import ROOT, trainer_of

from handlens import params, resume
from handlens.errors import UserError
from handlens.liveness import Parents
from handlens.training import Step, Trainer

NOBODY = Parents(())
RECIPES: list[dict[str, Any]] = [
    {"optimizer": "adamw", "ema": 0.9, "accumulate": 2},
    {
        "optimizer": "sgd",
        "lr": 0.05,
        "mixup": 0.2,
        "augment": {"erasing": 0.5, "color_jitter": [0.2, 0.2, 0.2, 0]},
    },
    {"optimizer": "adam", "schedule": "one_cycle", "warmup_epochs": 0, "class_weighting": "sampler"},
]


def bits(trainer: Trainer) -> dict[str, bytes]:
    state = trainer.best_network().state_dict()
    return {name: value.contiguous().numpy().tobytes() for name, value in state.items()}


def numbers(trainer: Trainer) -> list[tuple[float, ...]]:
    return [(e.train_loss, e.train_accuracy, e.val_loss, e.val_accuracy, e.best) for e in trainer.at.history]


def train(trainer: Trainer, folder: Path, *, key: str = "k", stop_after: int | None = None) -> list[object]:
    """Run, leaving like a killed process would after `stop_after` steps; every event writes the state."""
    events: list[object] = []
    for event in resume.run(trainer, folder, key, NOBODY):
        events.append(event)
        if sum(isinstance(event, Step) for event in events) == stop_after:
            break
    return events


@pytest.fixture(autouse=True)
def save_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(resume, "SAVE_SHARE", 0)


@pytest.mark.parametrize("changes", RECIPES, ids=[recipe["optimizer"] for recipe in RECIPES])
@pytest.mark.parametrize("stop_after", [3, 8, 13])
def test_a_continued_training_ends_in_the_same_bits(
    tmp_path: Path, changes: dict[str, Any], stop_after: int
) -> None:
    """Stopped within the first epoch, at its last step, within the second."""
    whole = trainer_of(tmp_path, **changes)
    list(whole.run())
    (tmp_path / "state").mkdir()
    train(trainer_of(tmp_path, **changes), tmp_path / "state", stop_after=stop_after)
    continued = trainer_of(tmp_path, seed=3, **changes)
    start, *rest = train(continued, tmp_path / "state")
    assert start == resume.Start(
        epoch=stop_after // 9, step=stop_after - 8 * (stop_after // 9), discarded=False
    )
    assert sum(isinstance(event, Step) for event in rest) == 16 - stop_after
    assert bits(continued) == bits(whole)
    assert numbers(continued) == numbers(whole)


def test_a_finished_training_is_taken_up_without_another_step(tmp_path: Path) -> None:
    whole, again = trainer_of(tmp_path), trainer_of(tmp_path)
    train(whole, tmp_path)
    assert train(again, tmp_path) == [resume.Start(epoch=2, step=0, discarded=False)]
    assert bits(again) == bits(whole)
    resume.forget(tmp_path)
    assert not (tmp_path / resume.STATE).exists()


def test_the_state_of_other_inputs_is_discarded(tmp_path: Path) -> None:
    train(trainer_of(tmp_path), tmp_path, key="old", stop_after=12)
    events = train(trainer_of(tmp_path), tmp_path, key="new")
    assert events[0] == resume.Start(epoch=0, step=0, discarded=True)
    assert sum(isinstance(event, Step) for event in events) == 16


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / resume.STATE).write_bytes(b"not a state")
    with pytest.raises(UserError, match=r"state\.safetensors is damaged .*Delete it"):
        train(trainer_of(tmp_path), tmp_path)


def test_a_half_written_state_is_never_used(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path)
    train(trainer, tmp_path, stop_after=5)
    (tmp_path / (resume.STATE + ".partial")).write_bytes(b"cut off")
    assert train(trainer_of(tmp_path), tmp_path)[0] == resume.Start(epoch=0, step=5, discarded=False)
    resume.forget(tmp_path)
    assert not list(tmp_path.glob("state*"))


def test_a_training_without_its_parent_saves_and_stops(tmp_path: Path) -> None:
    child = psutil.Popen(["sleep", "60"])
    parents = Parents((psutil.Process(child.pid),))
    trainer = trainer_of(tmp_path)
    events = resume.run(trainer, tmp_path, "k", parents)
    assert [type(next(events)) for _ in range(4)] == [resume.Start, Step, Step, Step]
    child.kill()  # and not waited for: a zombie counts as gone
    with pytest.raises(UserError, match=rf"{child.pid}.* is gone.*goes on after step 4 of epoch 1"):
        next(events)
    child.wait()
    assert train(trainer_of(tmp_path), tmp_path)[0] == resume.Start(epoch=0, step=4, discarded=False)


def test_saving_leaves_the_time_to_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that takes long to write is written seldom."""
    monkeypatch.undo()
    written: list[str] = []
    monkeypatch.setattr(resume, "write_state", lambda path, *rest: written.append(path.name))
    train(trainer_of(tmp_path, epochs=3), tmp_path)
    assert (
        written == [resume.STATE] * 3
    )  # an epoch takes less than SAVE_SECONDS: its end is where it is saved


def params_copy(folder: Path) -> Path:
    path = folder / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return path


def inputs_in(folder: Path) -> resume.Inputs:
    (folder / "split.csv").write_text("a")
    (folder / "code.py").write_text("b")
    file = params_copy(folder)
    recipe = params.load(file).recipe("resnet18")
    inputs = resume.inputs_of(file, "resnet18", recipe, [folder / "split.csv", folder / "code.py"])
    assert Path(resume.__file__) in inputs.files
    return inputs


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("split.csv", "a", "c"),
        ("code.py", "b", "c"),
        ("params.yaml", "seed: 20", "seed: 21"),
        (
            "params.yaml",
            "distill: {}",
            "distill: {resnet18: {teacher: squeezenet, temperature: 2, weight: 1}}",
        ),
        ("params.yaml", "resnet18: {}", "resnet18: {lr: 0.5}"),
        ("params.yaml", "label_smoothing: 0.1", "label_smoothing: 0.2"),
    ],
)
def test_an_edit_of_an_input_is_noticed(tmp_path: Path, name: str, old: str, new: str) -> None:
    inputs = inputs_in(tmp_path)
    key = inputs.key()
    inputs.require_unchanged(key)
    path = tmp_path / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=r"were edited while it trained.*Nothing was written"):
        inputs.require_unchanged(key)


def test_an_edit_that_does_not_concern_the_model_changes_nothing(tmp_path: Path) -> None:
    inputs = inputs_in(tmp_path)
    key = inputs.key()
    path = tmp_path / "params.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("bootstrap: 1000", "bootstrap: 999"), encoding="utf-8")
    assert inputs.key() == key


def test_a_weights_file_is_an_input(tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"1")
    file = params_copy(tmp_path)
    recipe = params.load(file).recipe("resnet18").model_copy(update={"weights": str(weights)})
    assert weights in resume.inputs_of(file, "resnet18", recipe, []).files
