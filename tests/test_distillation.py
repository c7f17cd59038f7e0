"""A student and its teacher on textures."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from test_resume import bits, numbers, save_at_every_step, train  # noqa: F401
from textures import CLASSES, ONE, contract_of, recipe_of, split_table, trainer_of

from handlens import checkpoint, distillation, fitting, resume
from handlens.distillation import Teacher
from handlens.errors import UserError
from handlens.recipe import Student
from handlens.training import Trainer, WithLoss


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained teacher on disk."""
    place = tmp_path_factory.mktemp("teacher")
    trainer = trainer_of(place / "pixels", epochs=8)
    list(trainer.run())
    assert trainer.best_epoch.val_accuracy > 0.9
    checkpoint.save(place, trainer.best_network(), card_of(trainer))
    return place


def card_of(trainer: Trainer, **changes: Any) -> checkpoint.Card:
    return fitting.describe(
        trainer, model="t", recipe=recipe_of(), contract=contract_of(split_table()), seed=3, **changes
    )


def teacher_of(folder: Path, *, temperature: float = 4.0, weight: float = 0.9) -> Teacher:
    student = Student(teacher="t", temperature=temperature, weight=weight)
    return distillation.load(folder, contract_of(split_table()), student, ONE.device)


def test_the_loss_is_the_papers() -> None:
    torch.manual_seed(0)
    network, images, labels = torch.nn.Linear(4, 3), torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
    student = torch.nn.Linear(4, 3)
    teacher = Teacher(network=network, temperature=3.0, weight=0.25)
    logits, loss = WithLoss(student, None, 0.0, teacher)(images, labels)
    soft = (network(images) / 3).softmax(1)
    taught = -(soft * (logits / 3).log_softmax(1)).sum(1).mean() * 9
    expected = 0.75 * F.cross_entropy(logits, labels) + 0.25 * taught
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert network.weight.grad is None


def test_a_student_agrees_with_its_teacher_more_than_without(folder: Path, tmp_path: Path) -> None:
    """Half of what the training says is wrong; the teacher's answers carry the student over it."""
    teacher = teacher_of(folder, temperature=1.0, weight=1.0)
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    agreement = []
    for guide in (None, teacher):
        student = trainer_of(tmp_path, epochs=4, teacher=guide)
        student.batches.rows.labels[::2] = (student.batches.rows.labels[::2] + 1) % len(CLASSES)
        list(student.run())
        pixels = torch.from_numpy(student.batches.store.take(student.val.slots))
        images = student.preprocess(pixels)
        with torch.inference_mode():
            ours, theirs = student.best_network()(images).argmax(1), teacher.answers(images).argmax(1)
        agreement.append(float((ours == theirs).double().mean()))
    assert agreement[1] > agreement[0]
    assert agreement[1] > 0.8
    assert all(torch.equal(value, before[name]) for name, value in teacher.network.state_dict().items())


@pytest.mark.parametrize("changes", [{}, {"mixup": 0.2, "cutmix": 1.0, "precision": "bfloat16"}])
def test_a_continued_student_ends_in_the_same_bits(
    folder: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    teacher = teacher_of(folder)
    whole = trainer_of(tmp_path, teacher=teacher, **changes)
    list(whole.run())
    train(trainer_of(tmp_path, teacher=teacher, **changes), tmp_path, stop_after=11)
    continued = trainer_of(tmp_path, teacher=teacher, **changes)
    assert train(continued, tmp_path)[0] == resume.Start(epoch=1, step=3, discarded=False)
    assert bits(continued) == bits(whole)
    assert numbers(continued) == numbers(whole)
    alone = trainer_of(tmp_path, **changes)
    list(alone.run())
    assert bits(alone) != bits(whole)


def test_a_teacher_of_another_contract_is_refused(folder: Path, tmp_path: Path) -> None:
    student = Student(teacher="t", temperature=1.0, weight=1.0)
    other = contract_of(split_table()).model_copy(update={"classes": CLASSES[::-1]})
    with pytest.raises(UserError, match="classes"):
        distillation.load(folder, other, student, ONE.device)
    with pytest.raises(UserError, match="missing"):
        distillation.load(tmp_path, contract_of(split_table()), student, ONE.device)


def test_the_card_names_the_teacher(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, epochs=1)
    list(trainer.run())
    lesson = Student(teacher="large", temperature=4.0, weight=0.5)
    assert card_of(trainer, student=lesson).recipe["distill"]["teacher"] == "large"
    assert "distill" not in card_of(trainer).recipe
