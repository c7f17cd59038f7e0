"""Photos as bytes, in every format and with every fault."""

import io
import zlib
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "BMP": {},
    "TIFF": {},
    "PPM": {},
    "WEBP": {"lossless": True, "exact": True},
    "JPEG2000": {},
}
LOSSY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 95},
    "HEIF": {"quality": 95},
    "GIF": {},
}


def picture(width: int = 90, height: int = 60, seed: int = 0) -> np.ndarray:
    """Draw a smooth colourful picture (height, width, 3) uint8 without any symmetry."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(width, height)
    waves = np.zeros((height, width, 3))
    for _ in range(6):
        across, down = random.uniform(-9, 9, 2)
        waves += np.sin(across * x + down * y + random.uniform(0, 6))[..., None] * random.uniform(-1, 1, 3)
    waves[: height // 4, : width // 5] = 2  # a bright corner: upper left
    return np.uint8(np.clip(128 + 45 * waves, 0, 255))


def encode(rgb: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    """Write a picture in a format of Pillow."""
    image = rgb.copy() if isinstance(rgb, Image.Image) else Image.fromarray(rgb)
    if (
        "append_images" in options
    ):  # Pillow leaves traces of one format in an image that are wrong for the next
        options["append_images"] = [frame.copy() for frame in options["append_images"]]
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def every_kind(rgb: np.ndarray) -> dict[str, bytes]:
    """Write a picture in every format and several variants of it."""
    image = Image.fromarray(rgb)
    grey = np.asarray(image.convert("L"))
    frames = [Image.fromarray(np.roll(rgb, 9 * k, 1)) for k in range(3)]
    seen_through = image.convert("RGBA")
    seen_through.putalpha(Image.fromarray(grey))
    lossless = {f"lossless-{kind}": encode(rgb, kind, **options) for kind, options in LOSSLESS.items()}
    lossy = {f"lossy-{kind}": encode(rgb, kind, **options) for kind, options in LOSSY.items()}
    return {
        **lossless,
        **lossy,
        "jpeg-progressive": encode(rgb, "JPEG", progressive=True),
        "jpeg-grey": encode(image.convert("L"), "JPEG"),
        "jpeg-cmyk": encode(image.convert("CMYK"), "JPEG"),
        "jpeg-exif": encode(rgb, "JPEG", exif=oriented(6)),
        "jpeg-mpo": encode(frames[0], "MPO", save_all=True, append_images=frames[1:]),
        "png-16": encode(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"),
        "png-palette": encode(image.quantize(64), "PNG"),
        "png-rgba": encode(seen_through, "PNG"),
        "png-animated": encode(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "gif-animated": encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "webp-animated": encode(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "avif-animated": encode(frames[0], "AVIF", save_all=True, append_images=frames[1:]),
        "tiff-pages": encode(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
        "tiff-lzw": encode(rgb, "TIFF", compression="tiff_lzw"),
        "tiff-jpeg": encode(rgb, "TIFF", compression="jpeg"),
        "tiff-cmyk": encode(image.convert("CMYK"), "TIFF"),
        "tiff-lab": encode(image.convert("LAB"), "TIFF"),
        "tiff-16": encode(Image.fromarray(grey.astype(np.uint16) * 257), "TIFF"),
        "bmp-palette": encode(image.quantize(64), "BMP"),
    }


def oriented(orientation: int) -> Image.Exif:
    """Make an EXIF block with an orientation (1 to 8)."""
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def as_stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an upright picture to how a camera stores it with this EXIF orientation."""
    match orientation:
        case 2:
            return upright[:, ::-1]
        case 3:
            return upright[::-1, ::-1]
        case 4:
            return upright[::-1]
        case 5:
            return upright.transpose(1, 0, 2)
        case 6:
            return np.rot90(upright, 1)
        case 7:
            return np.rot90(upright, 2).transpose(1, 0, 2)
        case 8:
            return np.rot90(upright, -1)
    return upright


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """Make a PNG of a few bytes that claims to be huge."""
    png = bytearray(encode(np.zeros((4, 4, 3), np.uint8), "PNG"))
    png[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    png[29:33] = zlib.crc32(bytes(png[12:29])).to_bytes(4, "big")
    return bytes(png)


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    """Break a file: flipped bits, cut, overwritten, repeated or removed parts, rubbish before or behind."""
    damaged = bytearray(data)
    for _ in range(random.integers(1, 5)):
        at = int(random.integers(len(damaged)))
        length = int(min(random.integers(1, 64), len(damaged) - at))
        match random.integers(7):
            case 0:
                damaged[at] ^= 1 << int(random.integers(8))
            case 1:
                del damaged[max(1, at) :]
            case 2:
                damaged[at : at + length] = random.bytes(length)
            case 3:
                damaged[at:at] = damaged[at : at + length]
            case 4:
                if len(damaged) > length:
                    del damaged[at : at + length]
            case 5:
                damaged += random.bytes(length)
            case 6:
                where = int(min(at % 256, len(damaged) - 1))  # headers break decoders best
                damaged[where] = int(random.integers(256))
    return bytes(damaged)
