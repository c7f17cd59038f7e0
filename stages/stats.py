"""stats: balanced rows, photos table -> rows with their sums, mean and std of all."""

from pathlib import Path

import typer

from handlens import manifest, metrics, normalization
from handlens.errors import guarded

COLUMNS = ["slot", "content_width", "content_height", *normalization.SUMS]


def main(rows_file: Path, photos_file: Path, stats: Path, summary: Path) -> None:
    """Join the sums; any subset's mean and std follow from them."""
    rows = normalization.add_sums(manifest.read(rows_file), manifest.read_photos(photos_file, COLUMNS))
    manifest.write(rows, stats)
    metrics.write(normalization.summary(rows), summary)


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
