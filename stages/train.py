"""train: split, contract, pixels, one recipe -> the best epoch's model, its scores, its curve.

The environment chooses how it runs, not what it trains: HANDLENS_DEVICE (auto, cpu, cuda), HANDLENS_THREADS,
HANDLENS_COMPILE (1: torch.compile), HANDLENS_TORCHRUN ("--standalone --nproc_per_node=4": on four GPUs).
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from handlens import assembly, distributed, fitting, manifest, params
from handlens.contract import Contract
from handlens.errors import guarded
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
    unfinished: Path = Path(".dvc/tmp/handlens/train"),
    device: Annotated[str, typer.Option(envvar="HANDLENS_DEVICE")] = "auto",
    compiled: Annotated[bool, typer.Option("--compile", envvar="HANDLENS_COMPILE")] = False,
) -> None:
    """Train `model` from the start, or from where an interruption left it in the folder `unfinished`."""
    distributed.relaunch()
    p = params.load(params_file)
    recipe = p.recipe(model)
    contract = Contract.load(contract_file)
    with distributed.processes(device) as processes:
        trainer = assembly.trainer(
            recipe,
            manifest.read(split_file),
            contract,
            PixelStore(pixels),
            seed=p.seed,
            processes=processes,
            compiled=compiled,
        )
        inputs = inputs_of(params_file, model, recipe, [split_file, contract_file, Path(__file__)])
        fitting.fit(
            trainer,
            inputs,
            partial(fitting.describe, model=model, recipe=recipe, contract=contract, seed=p.seed),
            unfinished=unfinished / model,
            folder=folder,
            summary=summary,
            curve_file=curve_file,
        )


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
