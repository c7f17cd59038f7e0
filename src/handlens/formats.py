"""Photo formats by their content, never by a file name."""

from PIL import features

from handlens.reasons import PhotoError

# offset, bytes at it, format by Pillow's name; the first that matches counts
SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WEBP"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftyphei", "HEIF"),
    (4, b"ftyphev", "HEIF"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmsf1", "HEIF"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG2000"),
    (0, b"P4\n", "PPM"),
    (0, b"P5\n", "PPM"),
    (0, b"P6\n", "PPM"),
)
SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".png",
    ".webp",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".avif",
    ".heic",
    ".heif",
)
HEAD = 64  # bytes that `sniff` looks at


def sniff(head: bytes) -> str | None:
    """Name the photo format that the first `HEAD` bytes of a file announce, by Pillow's name."""
    for offset, signature, kind in SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return kind
    return None


def require_decoder(kind: str) -> None:
    """Make sure that Pillow can read the format; optional packages are registered here."""
    if kind == "HEIF":
        try:
            import pillow_heif
        except ImportError:
            raise PhotoError("needs_extra", "HEIC: pip install 'handlens[heic]'") from None
        pillow_heif.register_heif_opener()
    if kind == "AVIF" and not features.check("avif"):
        raise PhotoError("needs_extra", "AVIF: this Pillow was built without it; pip install -U pillow")
