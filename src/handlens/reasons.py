"""What can be wrong with a raw file: the reason codes of `scan`, each with its sentence."""

from dataclasses import dataclass

from handlens.errors import UserError

REASONS = {
    "ok": "The photo was read.",
    "empty_file": "The file has no content.",
    "not_a_photo": "The content is of no photo format that handlens reads.",
    "needs_extra": "The format needs an optional package, which `detail` names.",
    "unreadable": "The content begins like a photo, but the decoder refuses it.",
    "truncated": "The file ends before the photo does.",
    "damaged": "The decoder reports wrong data inside the photo.",
    "unsupported": "The pixel values have no fixed range (32-bit integers or floats).",
    "too_large": "The photo has more than scan.max_megapixels.",
    "decoder_crashed": "The decoder ended its process on this file, twice.",
    "timeout": "The decoder did not finish this file in time.",
    "io_error": "The file system failed while the file was read.",
    "vanished": "The file was there when the folder was listed, and gone when it was opened.",
    "no_permission": "The file or folder may not be read.",
    "not_a_file": "A folder with a photo's name, a pipe, a socket or a device.",
    "dangling_link": "The link leads nowhere.",
    "looping_link": "The link leads to itself or to a folder that is scanned anyway.",
    "name_not_utf8": "The name is not UTF-8 text; `path` shows its bytes escaped.",
    "not_in_class_folder": "The file lies beside the class folders.",
}


@dataclass(frozen=True)
class Header:
    """What a file says of its photo; width and height in px after the EXIF turn."""

    format: str = ""
    mode: str = ""
    width: int = 0
    height: int = 0
    orientation: int = 1
    frames: int = 1


class PhotoError(UserError):
    """A photo that cannot be used: a reason code of `REASONS`, what was found, and what is known of it."""

    def __init__(self, reason: str, detail: str = "", header: Header | None = None) -> None:
        super().__init__(f"{REASONS[reason]} {detail}".strip())
        self.reason, self.detail, self.header = reason, detail, header or Header()
