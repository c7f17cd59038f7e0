"""files: metrics of the exports -> a row per exported file, and a picture of what accuracy costs."""

from pathlib import Path

import typer

from handlens import figures, metrics, params, shipping
from handlens.errors import guarded


def main(params_file: Path, export_metrics: Path, table_file: Path, pictures: Path) -> None:
    """Compare the files of the models that `export.models` lists."""
    p = params.load(params_file)
    exported = {
        name: metrics.read(export_metrics / f"{name}.json", f"dvc repro export@{name}")
        for name in p.export.models
    }
    table = shipping.table(exported)
    metrics.write_points(table, table_file)
    figures.files(table, pictures / "files.png")


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
