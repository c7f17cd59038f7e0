"""app: page, the winner's exports and scores, contract -> one folder that is the phone app, metrics."""

from pathlib import Path

import typer

from handlens import manifest, metrics, params
from handlens.app import bundle, packages
from handlens.contract import Contract
from handlens.errors import guarded


def main(
    params_file: Path,
    web: Path,
    models: Path,
    predictions: Path,
    compare: Path,
    export_metrics: Path,
    contract_file: Path,
    folder: Path,
    summary: Path,
) -> None:
    """Bundle the page around the winner of `compare`."""
    p = params.load(params_file)
    scores = metrics.read(compare, "dvc repro compare")
    model = scores["winner"]
    bundle.require_exported(model, p.export.models)
    packages.install(web)
    winner = bundle.Winner(
        model=model,
        exports=models / model / "export",
        card=metrics.read(models / model / "model.json", "dvc repro"),
        scores=scores,
        parity=metrics.read(export_metrics / f"{model}.json", f"dvc repro export@{model}"),
        predictions=manifest.read(predictions / f"{model}.csv"),
    )
    made, numbers = bundle.build(
        web,
        winner,
        Contract.load(contract_file),
        title=p.app.title,
        precision=p.app.precision,
        kinds=p.app.files,
        webgpu=p.app.webgpu,
    )
    bundle.write(made, folder)
    metrics.write(numbers, summary)


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
