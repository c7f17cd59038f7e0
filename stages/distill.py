"""distill: split, contract, pixels, one recipe, its teacher -> the best epoch's model, its scores, its curve.

It runs as `train` does, with the same environment.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from handlens import assembly, checkpoint, distillation, distributed, fitting, manifest, params
from handlens.contract import Contract
from handlens.errors import guarded
from handlens.pixels import PixelStore
from handlens.resume import inputs_of


def main(
    params_file: Path,
    model: str,
    teacher_folder: Path,
    split_file: Path,
    contract_file: Path,
    pixels: Path,
    folder: Path,
    summary: Path,
    curve_file: Path,
    unfinished: Path = Path(".dvc/tmp/handlens/train"),
    device: Annotated[str, typer.Option(envvar="HANDLENS_DEVICE")] = "auto",
    compiled: Annotated[bool, typer.Option("--compile", envvar="HANDLENS_COMPILE")] = False,
) -> None:
    """Train the student `model` by the model in `teacher_folder`, from where an interruption left it."""
    distributed.relaunch()
    p = params.load(params_file)
    recipe, student = p.recipe(model), p.distill[model]
    contract = Contract.load(contract_file)
    with distributed.processes(device) as processes:
        teacher = distillation.load(
            teacher_folder,
            contract,
            temperature=student.temperature,
            weight=student.weight,
            device=processes.device,
        )
        trainer = assembly.trainer(
            recipe,
            manifest.read(split_file),
            contract,
            PixelStore(pixels),
            seed=p.seed,
            processes=processes,
            compiled=compiled,
            teacher=teacher,
        )
        teachers = [teacher_folder / checkpoint.WEIGHTS, teacher_folder / checkpoint.CARD]
        tables = [split_file, contract_file]
        fitting.fit(
            trainer,
            inputs_of(params_file, model, recipe, [*tables, *teachers, Path(__file__)]),
            partial(
                fitting.describe, model=model, recipe=recipe, contract=contract, seed=p.seed, student=student
            ),
            unfinished=unfinished / model,
            folder=folder,
            summary=summary,
            curve_file=curve_file,
        )


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
