"""export: a trained model, split, contract, pixels -> its phone files with golden vectors, metrics.

A file that misses its limits is not written; the metrics say why and the gate fails on `passed`.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from handlens import checkpoint, distributed, manifest, metrics, params, quantaware
from handlens.contract import Contract
from handlens.errors import guarded
from handlens.export import build
from handlens.export.parity import Limits
from handlens.pixels import PixelStore
from handlens.preprocessing import Classifier


def main(
    params_file: Path,
    model: Path,
    split: Path,
    contract_file: Path,
    pixels: Path,
    folder: Path,
    summary: Path,
    device: Annotated[str, typer.Option(envvar="HANDLENS_DEVICE")] = "auto",
) -> None:
    """Export the model in folder `model`; judge the files on the test photos."""
    p = params.load(params_file)
    contract = Contract.load(contract_file)
    network, card = checkpoint.load(model, contract)
    rows, store, epochs = manifest.read(split), PixelStore(pixels), p.export.qat_epochs
    with distributed.processes(device) as processes:
        train = partial(
            quantaware.fine_tune, network, card, rows, contract, store, epochs=epochs, processes=processes
        )
        exports = build.export(
            Classifier(network, contract).eval(),
            build.describe(card, model / checkpoint.WEIGHTS),
            rows,
            store,
            limits={kind: Limits(**limits.model_dump()) for kind, limits in p.export.files.items()},
            calibration=p.export.calibration,
            vectors=p.export.golden,
            fine_tune=build.FineTune(epochs, train) if epochs else None,
        )
    build.write(exports, folder)
    metrics.write(build.summary(exports), summary)


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
