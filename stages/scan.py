"""scan: every raw file, opened once -> photos table and pixel store.

The environment chooses how it runs, not what comes out: HANDLENS_WORKERS (processes; default: one per
usable core), HANDLENS_SCHEDULER (address of a Dask scheduler whose workers see the same folders under the
same paths).
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from handlens import params, scanning
from handlens.decoding import Settings
from handlens.errors import guarded
from handlens.scan_progress import ScanProgress


def main(
    params_file: Path,
    raw: Path,
    out: Path,
    unfinished: Path = Path(".dvc/tmp/handlens/scan"),
    workers: Annotated[int, typer.Option(envvar="HANDLENS_WORKERS", min=1)] = len(os.sched_getaffinity(0)),
    scheduler: Annotated[str | None, typer.Option(envvar="HANDLENS_SCHEDULER")] = None,
) -> None:
    """Scan `raw`; what `unfinished` holds of an earlier scan is not decoded again."""
    p = params.load(params_file)
    settings = Settings(p.scan.store_size, p.scan.fit, p.scan.transparency, p.scan.max_megapixels)
    with ScanProgress() as progress:
        photos = scanning.scan(
            raw,
            out,
            settings=settings,
            distance=p.scan.duplicate_distance,
            difference=p.scan.duplicate_difference,
            unfinished=unfinished,
            where=scanning.Where(workers=workers, scheduler=scheduler),
            progress=progress.show,
        )
    progress.finish(int((photos["slot"] >= 0).sum()), len(photos))


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
