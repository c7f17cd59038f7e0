"""What a scan has decoded, kept outside its outputs: an interrupted scan goes on, known photos are kept.

A sheaf is a pair of files: `NAME.npy` with squares (n, size, size, 3) uint8 and `NAME.arrow` with a row per
file (`ROWS`). The rows are written last and note size and time of the squares, so that half a sheaf, or one
whose squares were changed through another link to them, is never trusted. Files are never written again,
only replaced: the pixel store links to them.
"""

import contextlib
import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from handlens import manifest
from handlens.decoding import Row, Settings, write_header
from handlens.fingerprints import THUMB

OWN = ("photo_id", "slot", "label", "group", "path")  # columns of the photos table that a sheaf does not have
ROWS = pa.schema(
    [
        ("path", pa.binary()),  # as the file system has it
        ("mtime_ns", pa.int64()),
        ("at", pa.int32()),  # place among the squares, -1 without one
        ("thumb", pa.binary()),  # uint16 (THUMB, THUMB) or nothing
        *((field.name, field.type) for field in manifest.PHOTOS if field.name not in OWN),
    ]
)
CODE = ("decoding.py", "fingerprints.py", "formats.py", "photos.py", "reasons.py")
LIBRARIES = ("numpy", "opencv-python-headless", "pillow", "pillow-heif", "simplejpeg")
AGAIN = {"io_error", "vanished", "no_permission", "decoder_crashed", "timeout"}  # may end otherwise next time
THUMB_BYTES = THUMB * THUMB * 2
COPY = 1 << 22  # bytes copied at once


@dataclass(frozen=True, eq=False)
class Sheaf:
    """Rows in memory (mapped from their file) and the file of their squares."""

    name: str
    rows: pa.Table
    squares: Path


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder for this scan; wait while another scan works in it, and then build on what it did."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def key(settings: Settings) -> str:
    """Name everything besides a file that decides its row: settings, our code, the libraries' versions."""
    here = Path(__file__).parent
    code = {name: hashlib.sha256((here / name).read_bytes()).hexdigest() for name in CODE}
    everything = [asdict(settings), code, {name: version(name) for name in LIBRARIES}]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:16]


def version(library: str) -> str:
    """Give a library's version, nothing when it is not installed."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


class Harvest:
    """The sheaves of one key; those of other keys are thrown away."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder / key(settings)
        self.size = settings.store_size
        for other in folder.iterdir():
            if other.is_dir() and other != self.folder:
                shutil.rmtree(other)
        self.folder.mkdir(exist_ok=True)
        self.sheaves: list[Sheaf] = []
        for path in sorted(self.folder.iterdir()):
            if path.suffix == ".arrow" and (sheaf := self.trusted(path)):
                self.sheaves.append(sheaf)
        self.sweep(self.sheaves)

    def trusted(self, path: Path) -> Sheaf | None:
        """Open a sheaf, if it is whole and its squares are those that its rows were written for."""
        squares = path.with_suffix(".npy")
        try:
            with pa.memory_map(str(path)) as file:
                rows = pa.ipc.open_file(file).read_all()
        except (pa.ArrowInvalid, OSError):
            return None
        noted = (rows.schema.metadata or {}).get(b"squares", b"").decode()
        same = rows.schema.equals(ROWS) and noted == stamp(squares)
        return Sheaf(path.stem, rows, squares) if same else None

    def sweep(self, keep: Sequence[Sheaf]) -> None:
        """Remove all files but those of `keep`."""
        names = {f"{sheaf.name}{suffix}" for sheaf in keep for suffix in (".arrow", ".npy")}
        for path in self.folder.iterdir():
            if path.name not in names:
                path.unlink()

    def squares(self, name: str) -> Path:
        """Say where the squares of sheaf `name` belong."""
        return self.folder / f"{name}.npy"

    def has(self, name: str) -> Sheaf | None:
        """Give the sheaf of that name, if there is one."""
        return next((sheaf for sheaf in self.sheaves if sheaf.name == name), None)

    def add(self, name: str, rows: Sequence[Row] | pa.Table) -> Sheaf:
        """Write the rows of a sheaf whose squares are written; from now on it is trusted."""
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows), ROWS)
        table = table.replace_schema_metadata({"squares": stamp(self.squares(name))})
        path = self.folder / f"{name}.arrow"
        partial = path.with_suffix(".partial")
        try:
            with partial.open("wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        sheaf = Sheaf(name, table, self.squares(name))
        self.sheaves.append(sheaf)
        return sheaf

    def drop(self, sheaf: Sheaf) -> None:
        """Remove a sheaf, rows first."""
        (self.folder / f"{sheaf.name}.arrow").unlink()
        sheaf.squares.unlink(missing_ok=True)
        self.sheaves.remove(sheaf)

    def known(self) -> dict[bytes, tuple[int, int, int, int]]:
        """Map each path to (size, time, sheaf's number, row's number) of its newest row that may be used."""
        found: dict[bytes, tuple[int, int, int, int]] = {}
        for number, sheaf in enumerate(self.sheaves):
            columns = [sheaf.rows[name].to_pylist() for name in ("path", "bytes", "mtime_ns", "status")]
            for row, (path, size, mtime_ns, status) in enumerate(zip(*columns, strict=True)):
                if status not in AGAIN:
                    found[path] = (size, mtime_ns, number, row)
        return found

    def store(self, name: str, places: Sequence[tuple[Sheaf, int]], rows: pa.Table) -> Sheaf:
        """Make a sheaf of squares that lie in others, each given as (sheaf, place there), in this order."""
        if places:
            path = self.squares(name)
            partial = path.with_suffix(".partial")
            try:
                with partial.open("wb") as out:
                    self.copy(places, out)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        return self.add(name, rows)

    def copy(self, places: Sequence[tuple[Sheaf, int]], out: BinaryIO) -> None:
        """Write an .npy file of squares that lie in other sheaves; files are read, not mapped into memory."""
        write_header(out, (len(places), self.size, self.size, 3))
        for sheaf, first, count in runs(places):
            length = self.size * self.size * 3
            with sheaf.squares.open("rb") as file:
                header_length = sheaf.squares.stat().st_size % length
                file.seek(header_length + first * length)
                left = count * length
                while left:
                    left -= out.write(file.read(min(left, COPY)))


def stamp(path: Path) -> str:
    """Note size and time of a file, nothing when there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def runs(places: Sequence[tuple[Sheaf, int]]) -> Iterator[tuple[Sheaf, int, int]]:
    """Join neighbouring places to (sheaf, first, count)."""
    start = 0
    for end in range(1, len(places) + 1):
        sheaf, first = places[start]
        if end == len(places) or places[end] != (sheaf, first + end - start):
            yield sheaf, first, end - start
            start = end


def name_of(rows: pa.Table) -> str:
    """Name a sheaf after the files that it is made of, and when they were written."""
    digest = hashlib.sha256()
    columns = [rows[name].to_pylist() for name in ("path", "bytes", "mtime_ns", "sha256", "status")]
    for path, *rest in zip(*columns, strict=True):
        digest.update(b"%b\0%b\0" % (path, " ".join(map(str, rest)).encode()))
    return digest.hexdigest()[:16]
