"""A training as a pipeline step: one at a time, resumable, recorded as it runs, written at its end."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import psutil

from handlens import checkpoint, metrics, resume
from handlens.contract import Contract
from handlens.curves import curve
from handlens.liveness import Parents, only_trainer
from handlens.progress import TrainingProgress
from handlens.recipe import Recipe, Student
from handlens.training import Epoch, Trainer


def fit(
    trainer: Trainer,
    inputs: resume.Inputs,
    card: Callable[[Trainer], checkpoint.Card],
    *,
    unfinished: Path,
    folder: Path,
    summary: Path,
    curve_file: Path,
) -> None:
    """Train to the end, shown on standard error: curve row by row, then model and scores.

    One of the processes writes. `unfinished` is the folder of the state; it is removed at the end. Nothing is
    written to `folder` and `summary` before the training is done and its inputs are found unchanged.
    """
    if not trainer.processes.first:
        follow(trainer, inputs, unfinished)
        return
    key = inputs.key()
    parents = Parents.of(psutil.Process())
    with (
        only_trainer(unfinished, parents),
        curve(curve_file, inputs.model) as append,
        TrainingProgress(inputs.model, trainer.epochs) as progress,
    ):
        for event in resume.run(trainer, unfinished, key, parents):
            if isinstance(event, resume.Start):
                append(trainer.at.history)
            elif isinstance(event, Epoch):
                append([event])
            progress.show(event)
        inputs.require_unchanged(key)
        checkpoint.save(folder, trainer.best_network(), card(trainer))
        metrics.write(scores(trainer), summary)
        resume.forget(unfinished)


def follow(trainer: Trainer, inputs: resume.Inputs, unfinished: Path) -> None:
    """Train to the end as one of the other processes."""
    for _ in resume.run(trainer, unfinished, inputs.key(), Parents.of(psutil.Process())):
        pass


def scores(trainer: Trainer) -> dict[str, metrics.Value]:
    """Give the best epoch's numbers and what the training took, in seconds."""
    best = asdict(trainer.best_epoch)
    names = ("val_accuracy", "val_macro_f1", "val_loss", "train_accuracy", "train_loss")
    return {
        "best_epoch": best["epoch"],
        "epochs": trainer.at.epoch,
        **{name: round(best[name], 6) for name in names},
        "seconds": round(sum(epoch.seconds for epoch in trainer.at.history), 1),
    }


def describe(
    trainer: Trainer,
    *,
    model: str,
    recipe: Recipe,
    contract: Contract,
    seed: int,
    student: Student | None = None,
) -> checkpoint.Card:
    """Make the card of the finished training; a student's recipe also says whose it is."""
    best = trainer.best_epoch
    return checkpoint.Card(
        model=model,
        arch=recipe.arch,
        options=recipe.options,
        contract=contract,
        recipe=recipe.model_dump() | ({} if student is None else {"distill": student.model_dump()}),
        seed=seed,
        parameters=checkpoint.count_parameters(trainer.network),
        epochs=trainer.at.epoch,
        best_epoch=best.epoch,
        val_accuracy=best.val_accuracy,
        val_macro_f1=best.val_macro_f1,
        val_loss=best.val_loss,
        versions=checkpoint.versions(),
        commit=checkpoint.commit(),
        hardware=checkpoint.hardware(trainer.device),
    )
