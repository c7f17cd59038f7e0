"""filter: photos table -> every raw file with a verdict, counts by reason, pictures to choose limits by."""

from pathlib import Path

import typer

from handlens import filtering, manifest, metrics, params
from handlens.errors import guarded
from handlens.figures.dataset import sizes


def main(params_file: Path, photos_file: Path, verdict_file: Path, counts: Path, pictures: Path) -> None:
    """Judge every photo."""
    p = params.load(params_file).filter
    photos = manifest.read_photos(photos_file)
    limits = filtering.Limits(
        min_side=p.min_side,
        max_ratio=p.max_ratio,
        min_sharpness=p.min_sharpness,
        min_brightness=p.min_brightness,
        max_brightness=p.max_brightness,
        min_contrast=p.min_contrast,
        classes=p.classes,
    )
    verdict = filtering.filter_photos(
        photos,
        limits,
        exact_duplicates=p.exact_duplicates,
        conflicting_labels=p.conflicting_labels,
    )
    manifest.write(verdict, verdict_file)
    metrics.write(filtering.summary(verdict), counts)
    sizes(
        photos.assign(status=verdict["status"]),
        min_side=p.min_side,
        max_ratio=p.max_ratio,
        path=pictures / "sizes.png",
    )


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
