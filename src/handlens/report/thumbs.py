"""Small pictures as text, to stand inside the page; photos come from the pixel store."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handlens import figures

Bytes = NDArray[np.uint8]

SIDE = 128  # px, of the largest thumbnail
QUALITY = 80  # of WebP
PLACES = (
    ("upper left", "top", "upper right"),
    ("left", "middle", "right"),
    ("lower left", "bottom", "lower right"),
)


def photo(square: Bytes) -> str:
    """Write a square (S, S, 3) as a data address of at most SIDE px."""
    image = Image.fromarray(np.ascontiguousarray(square))
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return address(image, "webp", quality=QUALITY)


def glow(heat: Bytes) -> str:
    """Write heat (h, w) as a data address, to be laid over a photo and stretched by the browser."""
    return address(Image.fromarray(figures.glow(heat)), "png", optimize=True)


def address(image: Image.Image, kind: str, **options: object) -> str:
    """Encode an image as `data:`."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return encoded(file.getvalue(), f"image/{kind}")


def encoded(content: bytes, kind: str) -> str:
    """Write a file's content as an address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def hottest(heat: Bytes) -> str:
    """Say in words where heat (h, w) is strongest; nothing when it is nowhere."""
    if not heat.any():
        return ""
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return PLACES[int(row) * 3 // heat.shape[0]][int(column) * 3 // heat.shape[1]]
