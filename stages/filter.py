"""filter: photos table -> every raw file with a verdict, counts by reason, pictures to choose limits by."""

from pathlib import Path

import numpy as np
import typer

from handlens import figures, filtering, manifest, metrics, params
from handlens.errors import guarded
from handlens.pixels import PixelStore


def main(
    params_file: Path,
    photos_file: Path,
    pixels: Path,
    verdict_file: Path,
    counts: Path,
    pictures: Path,
) -> None:
    """Judge every photo."""
    p = params.load(params_file)
    photos, store = manifest.read_photos(photos_file), PixelStore(pixels)
    limits = {name: getattr(p.filter, name) for name in filtering.QUALITY_LIMITS}
    verdict = filtering.filter_photos(
        photos,
        filtering.Limits(
            min_side=p.filter.min_side, max_ratio=p.filter.max_ratio, classes=p.filter.classes, **limits
        ),
        exact_duplicates=p.filter.exact_duplicates,
        conflicting_labels=p.filter.conflicting_labels,
    )
    manifest.write(verdict, verdict_file)
    metrics.write(filtering.summary(verdict), counts)
    figures.sizes(
        photos,
        min_side=p.filter.min_side,
        max_ratio=p.filter.max_ratio,
        path=pictures / "sizes.png",
    )
    figures.quality(photos, limits, pictures / "quality.png")
    groups = [
        [(path, store.take(np.array([slot]))[0]) for path, slot in group]
        for group in filtering.review_groups(photos, most=40)
    ]
    figures.duplicate_groups(groups, pictures / "duplicates.png")


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
