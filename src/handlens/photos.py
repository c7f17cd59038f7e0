"""Open, judge, turn and fit ONE photo: the same code for `scan` and for predictions.

A photo goes through `read` (bytes to uint8 RGB, upright) and `fit` (RGB to a stored square). What a file is,
its content decides, never its name. Embedded colour profiles are not applied; CMYK is converted as Pillow
does it. Of animations and multi-page files the first picture counts.
"""

import os
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from handlens.contract import Fit
from handlens.formats import HEAD, require_decoder, sniff
from handlens.reasons import Header, PhotoError

# What Pillow and its plugins raise on malformed content (fuzzed); anything else is a crash.
DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError,
    OverflowError, ZeroDivisionError, MemoryError, NotImplementedError, RuntimeError, AssertionError,
    struct.error, zlib.error,
)  # fmt: skip
ORIENTATION, BITS, SUBFILE, DNG = 274, 258, 254, 50706  # TIFF tags
OVERSAMPLING = 4  # a scaled JPEG keeps at least this many pixels per stored pixel and side
MOST = 2**31 - 1  # of what a table holds; broken files claim more
STRETCH = 1 / 16  # stored px by which its last, partly filled block may move the photo's far edge
Pixels = NDArray[np.uint8]
Background = Literal["black", "white"]
PILLOW = threading.RLock()  # guards Pillow's global limit of pixels


class Box(NamedTuple):
    """A rectangle in px."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Photo:
    """An upright photo: `rgb` (h, w, 3) uint8, which may be a decode at a fraction of the header's size."""

    rgb: Pixels
    header: Header
    detail: str = ""


def read(
    source: Path | bytes,
    *,
    transparency: Background,
    max_megapixels: float,
    store: tuple[int, Fit] | None = None,
) -> Photo:
    """Decode a photo, turn it by its EXIF tag, lay transparent pixels on a background, make it RGB.

    With `store` (size and fit of the stored square) a JPEG may be decoded at 1/2, 1/4 or 1/8, as long as
    every stored pixel is made of at least 4 × 4 decoded ones; the square then differs from the one of the
    full decode by less than 1 grey value on average (tests/test_photos.py states and tests it).
    Raises `PhotoError`.
    """
    data = source if isinstance(source, bytes) else load(source)
    kind = sniff(data[:HEAD])
    if not data:
        raise PhotoError("empty_file")
    if kind is None:
        raise PhotoError("not_a_photo", f"it begins with {data[:12]!r}")
    require_decoder(kind)
    limit = round(max_megapixels * 1e6)
    with pillow(limit) as notes:
        image = opened(data, kind, limit)
        header = header_of(image)
        require_photo(image, header, data)
        rgb, damage = pixels_of(image, data, header, transparency, store)
    frames = [f"first of {header.frames} pictures"] if header.frames > 1 else []
    return Photo(rgb, header, "; ".join([*frames, *damage, *notes]))


def load(path: Path) -> bytes:
    """Read a regular file at once; a pipe or device is never waited for. Raises `PhotoError`."""
    with reading(path) as file:
        return b"".join(iter(lambda: os.read(file, 1 << 24), b""))


@contextmanager
def reading(path: Path | str | bytes) -> Iterator[int]:
    """Open a regular file for reading; what the file system refuses becomes a `PhotoError`."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise PhotoError("not_a_file")
            yield file
        finally:
            os.close(file)
    except PermissionError:
        raise PhotoError("no_permission") from None
    except FileNotFoundError:
        raise PhotoError("vanished") from None
    except OSError as error:
        raise PhotoError("io_error", error.strerror or str(error)) from None


@contextmanager
def pillow(limit: int) -> Iterator[list[str]]:
    """Let Pillow refuse photos above `limit` pixels, and collect its warnings as notes."""
    notes: list[str] = []
    with PILLOW, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = max(1, limit // 2)  # Pillow refuses more than twice this
        try:
            yield notes
        finally:
            Image.MAX_IMAGE_PIXELS = before
            notes.extend(dict.fromkeys(" ".join(str(note.message).split()) for note in caught))


def opened(data: bytes, kind: str, limit: int) -> Image.Image:
    """Parse a photo's header."""
    try:
        image = Image.open(BytesIO(data), formats=[kind])
    except Image.DecompressionBombError:
        raise PhotoError("too_large", f"more than {limit / 1e6:g} megapixels", Header(kind)) from None
    except DECODER_ERRORS as error:
        raise refused(error, Header(kind)) from None
    if image.width * image.height > limit:
        found = f"{image.width} x {image.height} px are more than {limit / 1e6:g} megapixels"
        raise PhotoError("too_large", found, header_of(image))
    return image


def header_of(image: Image.Image) -> Header:
    """Note what a parsed file says; a broken EXIF block or frame count counts as none."""
    try:
        orientation = int(image.getexif().get(ORIENTATION, 1))
    except DECODER_ERRORS:
        orientation = 1
    orientation = orientation if 1 <= orientation <= 8 else 1
    try:
        frames = int(getattr(image, "n_frames", 1))
    except DECODER_ERRORS:
        frames = 1
    width, height = image.size
    if orientation >= 5 and not isinstance(image, TiffImagePlugin.TiffImageFile):
        width, height = height, width  # Pillow gives the size of a TIFF as turned
    width, height, frames = (min(number, MOST) for number in (width, height, frames))
    return Header(image.format or "", image.mode, width, height, orientation, frames)


def require_photo(image: Image.Image, header: Header, data: bytes) -> None:
    """Refuse camera raw files, whose first picture is a thumbnail, and values without a range."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        thumbnail = int(image.tag_v2.get(SUBFILE, 0)) & 1 and header.frames == 1
        if thumbnail or DNG in image.tag_v2 or data[8:10] == b"CR":
            raise PhotoError("not_a_photo", "a camera raw file; develop it to JPEG or TIFF", header)
    if image.mode == "F" or (image.mode == "I" and header.format != "PPM"):
        raise PhotoError("unsupported", f"mode {image.mode}; save it with 8 or 16 bits", header)


def pixels_of(
    image: Image.Image,
    data: bytes,
    header: Header,
    transparency: Background,
    store: tuple[int, Fit] | None,
) -> tuple[Pixels, list[str]]:
    """Decode and turn; returns RGB and notes."""
    notes: list[str] = []
    if header.format in ("JPEG", "MPO") and image.mode in ("RGB", "L"):
        rgb, problem = turbo(data, image.size, header, store)
        if rgb is not None:
            return turned(rgb, header.orientation), notes
        notes.append(problem)
    try:
        image.load()
        rgb = to_rgb(image, transparency)
        left = int(image.getexif().get(ORIENTATION, 1)) if header.orientation != 1 else 1
    except DECODER_ERRORS as error:
        raise refused(error, header) from None
    if any(is_damage(note) for note in notes):
        raise PhotoError("damaged", "; ".join(notes), header)
    return turned(rgb, left), notes


def refused(error: BaseException, header: Header) -> PhotoError:
    """Turn what a decoder raised into a `PhotoError`."""
    if isinstance(error, PhotoError):
        return error
    text = " ".join(str(error).split()) or type(error).__name__
    cut = any(word in text.lower() for word in ("truncated", "premature", "not enough", "unexpected end"))
    return PhotoError("truncated" if cut else "unreadable", text.split(" <_io.")[0], header)


def turbo(
    data: bytes, size: tuple[int, int], header: Header, store: tuple[int, Fit] | None
) -> tuple[Pixels | None, str]:
    """Decode a JPEG with libjpeg-turbo, scaled when `store` allows; None and why when it refuses."""
    width, height = size
    shift = scale_shift(header, store)
    low = (-(-height >> shift), -(-width >> shift))
    try:
        if simplejpeg.decode_jpeg_header(data)[:2] != (height, width):
            return None, "two sizes in one JPEG"
        rgb = simplejpeg.decode_jpeg(data, "RGB", min_height=low[0], min_width=low[1])
    except ValueError as error:
        return None, str(error)
    return (rgb, "") if rgb.shape[:2] == low else (None, "two sizes in one JPEG")


def scale_shift(header: Header, store: tuple[int, Fit] | None) -> int:
    """Say how often a JPEG's sides may be halved while decoding (0 to 3)."""
    if store is None:
        return 0
    box = placed(header.width, header.height, *store)
    side = min(header.width, header.height)
    used = (side, side) if store[1] == "crop" else (header.width, header.height)
    for shift in (3, 2, 1):
        if all(
            side >> shift >= OVERSAMPLING * kept and kept * (-side % (1 << shift)) <= STRETCH * side
            for side, kept in zip(used, (box.width, box.height), strict=True)
        ):
            return shift
    return 0


def is_damage(note: str) -> bool:
    """Tell a decoder's report of wrong picture data from harmless ones, such as bytes between markers."""
    text = note.lower()
    return "extraneous" not in text and any(word in text for word in ("corrupt", "premature", "two sizes"))


def to_rgb(image: Image.Image, transparency: Background) -> Pixels:
    """Make uint8 RGB (h, w, 3) of any mode; 16-bit values keep their high byte."""
    if image.mode.startswith("I"):
        image = eight_bits(image)
    if image.has_transparency_data:
        colour = (0, 0, 0, 255) if transparency == "black" else (255, 255, 255, 255)
        over = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, colour), over)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def eight_bits(image: Image.Image) -> Image.Image:
    """Shift the grey values of a photo with 9 to 16 bits; a transparent value stays transparent."""
    bits = 16
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = max(8, int(image.tag_v2.get(BITS, (16,))[0]))
    values = np.asarray(image).astype(np.int32)
    grey = Image.fromarray((values >> (bits - 8)).clip(0, 255).astype(np.uint8))
    see_through = image.info.get("transparency")
    if isinstance(see_through, int):
        alpha = Image.fromarray(np.where(values == see_through, 0, 255).astype(np.uint8))
        grey = Image.merge("LA", (grey, alpha))
    return grey


def turned(rgb: Pixels, orientation: int) -> Pixels:
    """Set upright a photo with an EXIF orientation (1 to 8)."""
    match orientation:
        case 2:
            rgb = cv2.flip(rgb, 1)
        case 3:
            rgb = cv2.rotate(rgb, cv2.ROTATE_180)
        case 4:
            rgb = cv2.flip(rgb, 0)
        case 5:
            rgb = cv2.transpose(rgb)
        case 6:
            rgb = cv2.rotate(rgb, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            rgb = cv2.rotate(cv2.transpose(rgb), cv2.ROTATE_180)
        case 8:
            rgb = cv2.rotate(rgb, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return rgb


def placed(width: int, height: int, size: int, rule: Fit) -> Box:
    """Say where a photo of width × height px lies in its stored square of `size` px.

    letterbox: the longer side m becomes `size`, every side s becomes (2·s·size + m) // (2·m), at least 1
    (that is s·size/m rounded half up); the box begins at (size - side) // 2. crop and squash: the whole
    square.
    """
    if rule != "letterbox":
        return Box(0, 0, size, size)
    longer = max(width, height)
    across, down = (max(1, (2 * side * size + longer) // (2 * longer)) for side in (width, height))
    return Box((size - across) // 2, (size - down) // 2, across, down)


def fit(rgb: Pixels, size: int, rule: Fit, *, whole: Header | None = None) -> tuple[Pixels, Box]:
    """Fit RGB (h, w, 3) into a square (size, size, 3) uint8; returns it and where the content lies.

    The content's box is that of `placed`, outside of it all values are 0. `whole` is the header of a photo
    that was decoded at a fraction of its size: the box is that of the whole photo. crop first cuts the
    centre square: side s = min(w, h), from ((w - s) // 2, (h - s) // 2). Then each side that is longer than
    the box's shrinks to it with OpenCV's INTER_AREA (every output pixel is the mean of the area it covers);
    after that each side that is shorter grows to it with INTER_LINEAR (half-pixel centres).
    """
    height, width = rgb.shape[:2]
    if rule == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        rgb = rgb[top : top + side, left : left + side]
        height = width = side
    box = placed(whole.width, whole.height, size, rule) if whole else placed(width, height, size, rule)
    rgb = resized(rgb, box.width, box.height)
    square = np.zeros((size, size, 3), np.uint8)
    square[box.y : box.y + box.height, box.x : box.x + box.width] = rgb
    return square, box


def resized(pixels: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """Resize to width × height px: first what shrinks (INTER_AREA), then what grows (INTER_LINEAR)."""
    shrunk = (min(width, pixels.shape[1]), min(height, pixels.shape[0]))
    if shrunk != pixels.shape[1::-1]:
        pixels = cv2.resize(pixels, shrunk, interpolation=cv2.INTER_AREA)
    if shrunk != (width, height):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return pixels
