"""What a worker does: read some files once, and make of each a row, and a stored square where it can.

Runs in processes of its own, so it imports little.
"""

import faulthandler
import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import cv2
import numpy as np

from handlens import photos
from handlens.contract import Fit
from handlens.fingerprints import phash, thumb
from handlens.formats import HEAD, sniff
from handlens.photos import Box, Pixels
from handlens.reasons import Header, PhotoError

DETAIL = 300  # characters of a detail that are kept
STEP = 1 << 20  # bytes that are hashed at once
RESTART = 1.0  # seconds after which the watch begins anew with the next photo

Row = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What decides a photo's row and square."""

    store_size: int
    fit: Fit
    transparency: Literal["black", "white"]
    max_megapixels: float


@dataclass(frozen=True)
class Job:
    """Files of the folder `raw`, and the .npy file for their squares."""

    raw: bytes
    paths: tuple[bytes, ...]
    squares: Path


class Watch:
    """Ends this process when a decoder, which no signal handler could stop, takes longer than `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.since = seconds, 0.0

    def __enter__(self) -> "Watch":
        self.nowhere = Path(os.devnull).open("w")
        return self

    def next(self) -> None:
        """Begin anew; not for every photo, since that takes longer than hashing one."""
        if time.monotonic() - self.since > RESTART:
            faulthandler.dump_traceback_later(self.seconds, exit=True, file=self.nowhere)
            self.since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        faulthandler.cancel_dump_traceback_later()
        self.nowhere.close()


def decode(job: Job, settings: Settings, seconds: float) -> list[Row]:
    """Read the files of a job, write their squares (n, size, size, 3) and return a row for each.

    A row's `at` is its place among the squares, -1 without one. After about `seconds` with one photo the
    process is ended.
    """
    cv2.setNumThreads(1)
    size = settings.store_size
    squares = np.empty((len(job.paths), size, size, 3), np.uint8)
    rows, count = [], 0
    with Watch(seconds) as watch:
        for path in job.paths:
            watch.next()
            row, square = decode_one(job.raw + b"/" + path, settings)
            row |= {"path": path, "at": -1 if square is None else count}
            if square is not None:
                squares[count] = square
                count += 1
            rows.append(row)
    if count:
        save(squares[:count], job.squares)
    return rows


def save(squares: Pixels, path: Path) -> None:
    """Write an array, whole or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            write_header(file, squares.shape)
            file.write(squares.data)  # numpy's own writing hides that a disk is full
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Begin an .npy file of uint8 values."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def decode_one(path: bytes, settings: Settings) -> tuple[Row, Pixels | None]:
    """Read one file."""
    row: Row = failed("", "")
    try:
        with photos.reading(path) as file:
            status = os.fstat(file)
            row |= {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
            data, row["sha256"] = contents(file, status.st_size, settings.max_megapixels)
        if len(data) <= HEAD < status.st_size and sniff(data) is not None:
            raise PhotoError("too_large", f"{status.st_size} bytes", Header(sniff(data) or ""))
        square, measured = measure(data, settings)
    except PhotoError as error:
        return row | described(error.header) | {"status": error.reason, "detail": clean(error.detail)}, None
    return row | measured, square


def failed(status: str, detail: str) -> Row:
    """Make the row of a file of which nothing else is known."""
    numbers = ("bytes", "mtime_ns", "phash", *SUMS, *(f"content_{name}" for name in Box._fields))
    row = {"sha256": "", "status": status, "detail": clean(detail), "thumb": b"", "at": -1}
    nothing = {"sharpness": 0.0, "brightness": 0.0, "contrast": 0.0, **dict.fromkeys(numbers, 0)}
    return row | nothing | described(Header(frames=0))


def contents(file: int, size: int, max_megapixels: float) -> tuple[bytes, str]:
    """Read and hash an open file; of what cannot be a photo, or is far too large, only the head stays."""
    head = os.pread(file, HEAD, 0)
    limit = max_megapixels * 8e6 + (1 << 26)  # 16 bit RGBA without compression, and room for metadata
    if sniff(head) is not None and size <= limit:
        data = b"".join(iter(lambda: os.read(file, STEP), b""))
        return data, hashlib.sha256(data).hexdigest()
    digest = hashlib.sha256()
    for part in iter(lambda: os.read(file, STEP), b""):
        digest.update(part)
    return head, digest.hexdigest()


def measure(data: bytes, settings: Settings) -> tuple[Pixels, Row]:
    """Decode a photo, fit it, and measure its stored content."""
    store = (settings.store_size, settings.fit)
    photo = photos.read(
        data,
        transparency=settings.transparency,
        max_megapixels=settings.max_megapixels,
        store=store,
    )
    square, box = photos.fit(photo.rgb, *store, whole=photo.header)
    content = np.ascontiguousarray(square[box.y : box.y + box.height, box.x : box.x + box.width])
    grey = cv2.cvtColor(content, cv2.COLOR_RGB2GRAY)
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(grey))
    edges = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1]
    row = {
        "status": "ok",
        "detail": clean(photo.detail),
        "sharpness": float(edges[0, 0]) ** 2,
        "brightness": mean,
        "contrast": deviation,
        "phash": phash(grey),
        "thumb": thumb(grey).tobytes(),
    }
    row |= {f"content_{name}": value for name, value in zip(Box._fields, box, strict=True)}
    return square, row | described(photo.header) | sums(content)


SUMS = tuple(f"{name}_{channel}" for name in ("sum", "squares") for channel in "rgb")


def sums(content: Pixels) -> dict[str, int]:
    """Add up the values and their squares of each channel, exactly: every sum is below 2^53."""
    values = cv2.sumElems(content)[:3]
    squares = cv2.sumElems(cv2.multiply(content, content, dtype=cv2.CV_16U))[:3]
    return dict(zip(SUMS, map(int, (*values, *squares)), strict=True))


def described(header: Header) -> Row:
    """Give a header as columns."""
    return {
        "format": header.format,
        "mode": header.mode,
        "width": header.width,
        "height": header.height,
        "orientation": header.orientation,
        "frames": header.frames,
    }


def clean(text: str) -> str:
    """Make any text printable UTF-8 of limited length."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in text)[:DETAIL]


def failures(paths: Sequence[bytes], status: str, detail: str) -> list[Row]:
    """Make rows for files on which a process ended."""
    return [failed(status, detail) | {"path": path} for path in paths]
