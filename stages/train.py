"""train and distill: split, contract, pixels, one recipe -> the best epoch's model, its scores, its curve.

The environment chooses how it runs, not what it trains: HANDLENS_DEVICE (auto, cpu, cuda), HANDLENS_THREADS,
HANDLENS_COMPILE (1: torch.compile), HANDLENS_TORCHRUN ("--standalone --nproc_per_node=4": on four GPUs).
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from handlens import assembly, checkpoint, distillation, distributed, fitting, manifest, params
from handlens.contract import Contract
from handlens.errors import UserError, guarded
from handlens.pixels import PixelStore
from handlens.resume import inputs_of


def main(
    params_file: Path,
    model: str,
    split_file: Path,
    contract_file: Path,
    pixels: Path,
    folder: Path,
    summary: Path,
    curve_file: Path,
    teacher_folder: Annotated[Path | None, typer.Option("--teacher")] = None,
    unfinished: Path = Path(".dvc/tmp/handlens/train"),
    device: Annotated[str, typer.Option(envvar="HANDLENS_DEVICE")] = "auto",
    compiled: Annotated[bool, typer.Option("--compile", envvar="HANDLENS_COMPILE")] = False,
) -> None:
    """Train `model` from the start, or from where an interruption left it in the folder `unfinished`.

    With a teacher, the folder of another model, it is a student of `distill:`.
    """
    distributed.relaunch()
    p = params.load(params_file)
    recipe, student = p.recipe(model), p.distill.get(model)
    if (student is None) != (teacher_folder is None):
        raise UserError(f"{model}: an entry in distill and the option --teacher go together.")
    contract = Contract.load(contract_file)
    read = [split_file, contract_file, Path(__file__)]
    with distributed.processes(device) as processes:
        teacher = None
        if student is not None and teacher_folder is not None:
            teacher = distillation.load(teacher_folder, contract, student, processes.device)
            read += [teacher_folder / checkpoint.WEIGHTS, teacher_folder / checkpoint.CARD]
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
        fitting.fit(
            trainer,
            inputs_of(params_file, model, recipe, read),
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
