"""augment: kept photos -> kept photos and flip rows of small classes."""

from pathlib import Path

import typer

from handlens import augmenting, manifest, params
from handlens.errors import guarded


def main(params_file: Path, verdict_file: Path, rows_file: Path) -> None:
    """Fill up small classes."""
    p = params.load(params_file)
    rows = augmenting.augment(
        manifest.read(verdict_file),
        min_count=p.augment.min_count,
        ops=list(p.augment.ops),
        seed=p.seed,
    )
    manifest.write(rows, rows_file)


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
