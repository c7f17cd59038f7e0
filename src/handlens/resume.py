"""Go on after any interruption: a training's whole state on disk, and the rules for using it.

The state lies in one safetensors file outside DVC's outputs, so that it survives their deletion, is
replaced atomically and names the inputs it belongs to by a hash; the state of other inputs is discarded.
Random numbers need no state (see `handlens.batches`). On the CPU a continued training ends in the same
bits as an uninterrupted one.
"""

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from handlens import checkpoint, params
from handlens.errors import UserError
from handlens.liveness import Parents
from handlens.recipe import Recipe
from handlens.training import Epoch, Position, Step, Trainer

STATE = "state.safetensors"
SAVE_SECONDS = 30.0  # longest work that an interruption may cost, while saving is cheap
SAVE_SHARE = 20  # work between two saves / time that a save takes, at least
SAVE_SHARE_EPOCH = 5  # the same at the end of an epoch

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Start:
    """Where a training begins: finished epochs and steps. `discarded`: another state was there."""

    epoch: int
    step: int
    discarded: bool


@dataclass(frozen=True)
class Inputs:
    """What a training's result depends on: its values in `params.yaml`, its tables, its code."""

    params_file: Path
    model: str
    files: tuple[Path, ...]

    def key(self) -> str:
        """Hash the inputs as they are on disk now."""
        p = params.load(self.params_file)
        student = p.distill.get(self.model)
        lesson = None if student is None else student.model_dump()
        values = [p.recipe(self.model).model_dump(), lesson, p.seed, checkpoint.versions()]
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
        for path in self.files:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def require_unchanged(self, key: str) -> None:
        """Refuse results whose inputs were edited meanwhile: DVC would record them for the new inputs."""
        if self.key() != key:
            raise UserError(
                f"the inputs of {self.model} ({self.params_file}, {self.files[0]} or the code) were edited "
                "while it trained, so its result belongs to neither state of them. Nothing was written: run "
                "'dvc repro' again, or undo the edit and run it to take up the finished training."
            )


def inputs_of(params_file: Path, model: str, recipe: Recipe, files: list[Path]) -> Inputs:
    """Gather the inputs: `files`, the weights file of the recipe if it has one, the code loaded by now."""
    weights = [] if recipe.weights in (None, "imagenet") else [Path(str(recipe.weights))]
    return Inputs(params_file, model, (*files, *weights, *code_files()))


def code_files() -> list[Path]:
    """List the source files of handlens that this process has loaded."""
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "handlens"]
    return sorted(Path(module.__file__) for module in modules if module.__file__ is not None)


def run(trainer: Trainer, folder: Path, key: str, parents: Parents) -> Iterator[Start | Step | Epoch]:
    """Train from the state in `folder` if it belongs to `key`, else from the start, saving on the way.

    Yields a `Start`, then what `Trainer.run` yields. When a process that this one works for is gone, the
    state is saved and a `UserError` ends the training.
    """
    processes, path = trainer.processes, folder / STATE
    saved = processes.object_from_first(read_state(path, key) if processes.first else None)
    discarded = saved is None and path.exists()
    if saved is not None:
        restore(trainer, *saved)
    yield Start(trainer.at.epoch, trainer.at.step, discarded)
    last, cost = time.monotonic(), 0.0
    for event in trainer.run():
        gone, worked = parents.gone(), time.monotonic() - last
        at_epoch = isinstance(event, Epoch) and worked > SAVE_SHARE_EPOCH * cost
        if processes.first and (gone or at_epoch or worked > max(SAVE_SECONDS, SAVE_SHARE * cost)):
            begun = time.monotonic()
            write_state(path, key, *snapshot(trainer))
            last = time.monotonic()
            cost = last - begun
        if gone:
            raise UserError(
                f"{parents.name} is gone, so this training stops. 'dvc repro' goes on after step "
                f"{trainer.at.step} of epoch {trainer.at.epoch + 1}."
            )
        yield event


def snapshot(trainer: Trainer) -> tuple[Tensors, str]:
    """Take all that decides how the training goes on: tensors by name, and the rest as JSON."""
    trainer.look()
    if trainer.at.step > 0:
        trainer.at.loss, trainer.at.correct = trainer.sums.tolist()
    tensors = {f"network.{name}": value for name, value in trainer.network.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in trainer.best.items()}
    if trainer.average is not None:
        tensors |= {f"average.{name}": value for name, value in trainer.average.tensors.items()}
    for number, state in trainer.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    values = {"position": asdict(trainer.at), "scaler": trainer.scaler.state_dict()}
    return tensors, json.dumps(values)


def restore(trainer: Trainer, tensors: Tensors, values: str) -> None:
    """Put a snapshot back."""
    read = json.loads(values)
    history = [Epoch(**epoch) for epoch in read["position"].pop("history")]
    trainer.at = Position(**read["position"], history=history)
    trainer.scaler.load_state_dict(read["scaler"])
    network = trainer.network.state_dict()
    put(under(tensors, "network."), network)
    trainer.best = {name: torch.empty_like(network[name]) for name in under(tensors, "best.")}
    put(under(tensors, "best."), trainer.best)
    if trainer.average is not None:
        put(under(tensors, "average."), trainer.average.tensors)
    parameters = [p for group in trainer.optimizer.param_groups for p in group["params"]]
    for name, value in under(tensors, "optimizer.").items():
        number, key = name.split(".")
        parameter = parameters[int(number)]
        # moments must lie in memory as their parameter does: a fused kernel rounds by position
        fresh = torch.empty_like(parameter, dtype=value.dtype) if value.shape == parameter.shape else value
        trainer.optimizer.state[parameter][key] = fresh.detach().copy_(value)


def under(tensors: Tensors, prefix: str) -> Tensors:
    """Choose the tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def put(values: Tensors, into: Tensors) -> None:
    """Copy values in place, so that memory layouts stay."""
    for name, value in values.items():
        into[name].copy_(value)


def write_state(path: Path, key: str, tensors: Tensors, values: str) -> None:
    """Replace the state file; after a power cut either the old or the new one is there, whole."""
    checkpoint.write_tensors(tensors, path, {"key": key, "values": values})


def forget(folder: Path) -> None:
    """Remove the state in `folder`."""
    for path in folder.glob(STATE + "*"):
        path.unlink()


def read_state(path: Path, key: str) -> tuple[Tensors, str] | None:
    """Read the state that belongs to `key`; None when there is none."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            if metadata["key"] != key:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}, metadata["values"]  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path} is damaged ({error}). Delete it and run 'dvc repro' again.") from None
