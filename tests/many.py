"""Trainings for test_distributed.py: what every process of each case sees. Runs under torchrun too."""

import json
import sys
from pathlib import Path
from typing import Any

from textures import trainer_of
from torch import nn

from handlens import distributed, resume
from handlens.distributed import Processes
from handlens.liveness import Parents
from handlens.training import Epoch, Step

# without batch norm; SGD, since Adam does not notice gradients of a wrong scale
SQUEEZE = {"arch": "squeezenet1_1", "optimizer": "sgd", "lr": 0.02, "epochs": 3}
NORMS = {"epochs": 2, "ema": 0.9}
MIXED = {**SQUEEZE, "epochs": 1, "batch_size": 16, "mixup": 0.2, "augment": {"erasing": 0.5}}

# name: dropout of the networks, steps after which the training is left (and then goes on), recipe
Case = tuple[float, int | None, dict[str, Any]]
TWO: dict[str, Case] = {
    "plain": (0.0, None, SQUEEZE),
    "random": (0.5, None, {**MIXED, "accumulate": 2}),
    "norms": (0.0, None, NORMS),
    "left": (0.0, 11, NORMS),
}
ONE_PROCESS: dict[str, Case] = {
    "plain": (0.0, None, SQUEEZE),
    "random": (0.5, None, {**MIXED, "accumulate": 4}),
    "norms": (0.0, None, NORMS),
}


def losses_and_scores(
    folder: Path, processes: Processes, case: Case, steps: int | None
) -> tuple[list[float], list[list[float]]]:
    """Train from the state in `folder`, at most `steps`: the mean loss of each step, the scores of epochs."""
    dropout, _, recipe = case
    trainer = trainer_of(folder / f"pixels{processes.rank}", processes, **recipe)
    for module in trainer.network.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    losses: list[float] = []
    scores, before = [], 0.0
    for event in resume.run(trainer, folder, "k", Parents(())):
        if isinstance(event, Step):
            losses.append((float(trainer.sums[0]) - before) / event.photos)
            before = float(trainer.sums[0])
            if len(losses) == steps:
                break
        elif isinstance(event, Epoch):
            scores.append([event.train_loss, event.train_accuracy, event.val_loss, event.val_accuracy])
        before = trainer.at.loss if isinstance(event, resume.Start) else before * isinstance(event, Step)
    return losses, scores


def run(folder: Path, processes: Processes, cases: dict[str, Case]) -> dict[str, Any]:
    """Run all cases one after the other."""
    seen = {}
    for name, case in cases.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        if case[1] is not None:
            losses_and_scores(folder / name, processes, case, case[1])
        seen[name] = losses_and_scores(folder / name, processes, case, None)
    return seen


if __name__ == "__main__":
    resume.SAVE_SECONDS, resume.SAVE_SHARE = 0.0, 0
    here = Path(sys.argv[1])
    with distributed.processes("cpu") as those:
        (here / f"{those.rank}.json").write_text(json.dumps(run(here, those, TWO)))
