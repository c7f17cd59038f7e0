"""export: a trained model, split, contract, pixels -> its phone files with golden vectors, metrics.

A file that misses its limits is not written; the metrics say why and the gate fails on `passed`.
"""

from pathlib import Path

import typer

from handlens import checkpoint, manifest, metrics, params
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
) -> None:
    """Export the model in folder `model`; judge the files on the test photos."""
    p = params.load(params_file)
    contract = Contract.load(contract_file)
    network, card = checkpoint.load(model, contract)
    exports = build.export(
        Classifier(network, contract).eval(),
        build.describe(card, model / checkpoint.WEIGHTS),
        manifest.read(split),
        PixelStore(pixels),
        limits={kind: Limits(**limits.model_dump()) for kind, limits in p.export.files.items()},
        calibration=p.export.calibration,
        vectors=p.export.golden,
    )
    build.write(exports, folder)
    metrics.write(build.summary(exports), summary)


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
