"""Scan the raw folder: list it, decode every new photo once in parallel, pack the squares, group copies.

The result depends on the files and the settings alone, not on the number of workers, where they run, the
order in which they end, or what an earlier scan had left.
"""

import hashlib
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from handlens import duplicates, harvest, manifest
from handlens.decoding import Job, Settings, failed
from handlens.errors import UserError
from handlens.fingerprints import THUMB
from handlens.harvest import Harvest, Sheaf
from handlens.listing import Found, list_raw
from handlens.pixels import SHARD, shard_path
from handlens.workers import Workers

JOB_FILES = 64
JOB_BYTES = 1 << 25  # of raw files in a job
JOB_SQUARES = 1 << 26  # bytes of squares in a job
SECONDS = 60.0  # that a decoder may take for a file

Progress = Callable[[int, int], None]
Place = tuple[Sheaf, int]


@dataclass(frozen=True, kw_only=True)
class Where:
    """How a scan runs, which changes no result: processes, a Dask scheduler's address or None, patience."""

    workers: int
    scheduler: str | None = None
    seconds: float = SECONDS


def scan(
    raw: Path,
    out: Path,
    *,
    settings: Settings,
    distance: int,
    difference: float,
    unfinished: Path,
    where: Where,
    progress: Progress,
) -> pd.DataFrame:
    """Write `out`/photos.parquet and `out`/pixels, and return the photos table.

    `unfinished` is a folder for what is decoded; it belongs on the disk of `out`, which then links to it.
    `progress` is told how many files of how many are done. Raises `UserError`.
    """
    found = list_raw(raw)
    with harvest.exclusive(unfinished):
        kept = Harvest(unfinished, settings)
        places = decode_new(
            raw, found, kept, Workers(where.workers, where.scheduler, settings, where.seconds), progress
        )
        sheaves = pack(found, places, kept)
        photos = photos_table(
            found, [sheaf.rows for sheaf in sheaves], distance=distance, difference=difference
        )
        require_photos(photos, raw)
        write(photos, [sheaf.squares for sheaf in sheaves if sheaf.squares.exists()], out)
        kept.sweep(sheaves)
    return photos


def decode_new(
    raw: Path, found: Sequence[Found], kept: Harvest, workers: Workers, progress: Progress
) -> dict[bytes, Place]:
    """Decode what is not known; returns where the row of every opened file lies."""
    to_open = [file for file in found if not file.status]
    places: dict[bytes, Place] = {}
    known = kept.known()
    sheaves = list(kept.sheaves)
    for file in to_open:
        size, mtime_ns, number, row = known.get(file.path, (-1, -1, -1, -1))
        if (size, mtime_ns) == (file.size, file.mtime_ns):
            places[file.path] = (sheaves[number], row)
    new = [file for file in to_open if file.path not in places]
    progress(len(places), len(to_open))
    for job, rows in workers.run(list(jobs(raw, new, kept))):
        sheaf = kept.add(job.squares.stem, rows)
        places.update((row["path"], (sheaf, number)) for number, row in enumerate(rows))
        progress(len(places), len(to_open))
    return places


def jobs(raw: Path, files: Sequence[Found], kept: Harvest) -> Iterator[Job]:
    """Cut files into jobs of limited size, by path."""
    most = max(1, min(JOB_FILES, JOB_SQUARES // (3 * kept.size**2)))
    names = (f"{time.time_ns():x}-{number}" for number in itertools.count())  # new in every run
    folder = os.fsencode(raw.resolve())
    job: list[bytes] = []
    size = 0
    for file in files:
        if job and (len(job) == most or size + file.size > JOB_BYTES):
            yield Job(folder, tuple(job), kept.squares(next(names)).resolve())
            job, size = [], 0
        job.append(file.path)
        size += file.size
    if job:
        yield Job(folder, tuple(job), kept.squares(next(names)).resolve())


def pack(found: Sequence[Found], places: dict[bytes, Place], kept: Harvest) -> list[Sheaf]:
    """Bring rows and squares in the order of the paths, SHARD squares a sheaf, freeing space on the way."""
    order = [places[file.path] for file in found if not file.status]
    left = pd.Series([sheaf.name for sheaf, _ in order], dtype=object).value_counts().to_dict()
    columns = {sheaf: sheaf.rows["at"].to_numpy() for sheaf in kept.sheaves}
    squares = np.array([columns[sheaf][row] for sheaf, row in order], np.int64)
    has_square = (squares >= 0).astype(np.int64)
    number: list[int] = ((has_square.cumsum() - has_square) // SHARD).tolist()
    packed = []
    for _, group in groupby(range(len(order)), key=number.__getitem__):
        part = list(group)
        rows, taken = gather([order[row] for row in part])
        name = harvest.name_of(rows)
        sheaf = kept.has(name) or kept.store(
            name, [(order[row][0], int(squares[row])) for row in part if squares[row] >= 0], rows
        )
        packed.append(sheaf)
        for source, count in taken.items():
            left[source.name] -= count
            if not left[source.name] and source not in packed:
                kept.drop(source)
    return packed


def gather(places: Sequence[Place]) -> tuple[pa.Table, dict[Sheaf, int]]:
    """Copy rows from where they lie, with `at` counted anew; returns them and how many came from where."""
    taken: dict[Sheaf, int] = {}
    parts = []
    for sheaf, group in groupby(places, key=lambda place: place[0]):
        rows = [row for _, row in group]
        parts.append(sheaf.rows.take(rows))
        taken[sheaf] = taken.get(sheaf, 0) + len(rows)
    table = pa.concat_tables([part.replace_schema_metadata(None) for part in parts]).combine_chunks()
    has_square = table["at"].to_numpy() >= 0
    at = np.where(has_square, np.cumsum(has_square) - 1, -1).astype(np.int32)
    return table.set_column(table.schema.get_field_index("at"), "at", pa.array(at)), taken


def photos_table(
    found: Sequence[Found], opened: Sequence[pa.Table], *, distance: int, difference: float
) -> pd.DataFrame:
    """Make the photos table: a row per file found, in the order of the paths."""
    unopened = [
        failed(file.status, file.detail) | {"path": file.path, "bytes": file.size, "mtime_ns": file.mtime_ns}
        for file in found
        if file.status
    ]
    tables = [table.replace_schema_metadata(None) for table in opened]
    rows = pa.concat_tables([*tables, pa.Table.from_pylist(unopened, harvest.ROWS)])
    was_opened = np.array([not file.status for file in found], bool)
    place = np.empty(len(found), np.int64)
    place[was_opened] = np.arange(was_opened.sum())
    place[~was_opened] = np.arange(was_opened.sum(), len(found))
    rows = rows.take(pa.array(place))
    readable = rows["at"].to_numpy() >= 0
    photos: pd.DataFrame = rows.drop_columns(["path", "thumb", "mtime_ns", "at"]).to_pandas()
    photos["photo_id"] = [hashlib.sha256(file.path).hexdigest()[:16] for file in found]
    photos["slot"] = np.where(readable, np.cumsum(readable) - 1, -1)
    photos["path"] = [file.text for file in found]
    photos["label"] = [file.label for file in found]
    photos["group"] = duplicates.groups(
        photos["sha256"],
        photos["phash"].to_numpy(np.uint64),
        thumbs_of(rows, readable),
        readable,
        distance=distance,
        difference_limit=difference,
    )
    return photos.reindex(columns=manifest.PHOTOS.names)


def thumbs_of(rows: pa.Table, readable: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Give the thumbs (N, THUMB, THUMB); zeros for what is not readable."""
    thumbs = np.zeros((len(readable), THUMB, THUMB), np.uint16)
    joined = b"".join(rows["thumb"].to_pylist())
    thumbs[readable] = np.frombuffer(joined, np.uint16).reshape(-1, THUMB, THUMB)
    return thumbs


def require_photos(photos: pd.DataFrame, raw: Path) -> None:
    """Refuse a folder without a single readable photo."""
    if (photos["slot"] < 0).all():
        counts = photos["status"].value_counts()
        reasons = ", ".join(f"{reason}: {count}" for reason, count in counts.items())
        first = photos.iloc[0]
        raise UserError(
            f"none of the {len(photos)} files in {raw} is a photo that can be read ({reasons}); the first is "
            f"{first['path']} {first['detail']}. Bring photos with 'handlens import FOLDER'."
        )


def write(photos: pd.DataFrame, squares: Sequence[Path], out: Path) -> None:
    """Write the outputs; the table comes last, so that none lies beside other pixels."""
    pixels = out / "pixels"
    (out / "photos.parquet").unlink(missing_ok=True)
    shutil.rmtree(pixels, ignore_errors=True)
    pixels.mkdir(parents=True)
    for number, path in enumerate(squares):
        link(path, shard_path(pixels, number))
    manifest.write_photos(photos, out / "photos.parquet")


def link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system cannot."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
