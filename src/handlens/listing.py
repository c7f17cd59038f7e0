"""List what lies in the raw folder: every file once, by the bytes of its path, without opening any."""

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from handlens.errors import UserError
from handlens.formats import SUFFIXES

KINDS = {
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
    stat.S_IFDIR: "folder",
}


class Found(NamedTuple):
    """A file below the raw folder; `status` is a reason code when it is not to be opened, else empty."""

    path: bytes  # relative, as the file system has it
    size: int
    mtime_ns: int
    status: str = ""
    detail: str = ""

    @property
    def text(self) -> str:
        """The path as text; bytes that are not UTF-8 are escaped."""
        return self.path.decode("utf-8", "backslashreplace")

    @property
    def label(self) -> str:
        """The class: the first folder's name in Unicode's composed form (NFC); empty beside the folders."""
        top, slash, _ = self.text.partition("/")
        return unicodedata.normalize("NFC", top) if slash and is_class(os.fsencode(top)) else ""


def list_raw(raw: Path) -> list[Found]:
    """List the files below `raw`, by path.

    Links to files and folders are followed, but no folder is entered twice. Raises `UserError` when there are
    no two class folders with files.
    """
    if not raw.is_dir():
        raise UserError(
            f"{raw} is not a folder. It must hold one folder of photos per class; fetch a sample with "
            "'handlens sample', or bring your photos with 'handlens import FOLDER'."
        )
    found = sorted(walk(os.fsencode(raw)))
    labels = sorted({file.label for file in found} - {""})
    if len(labels) < 2:
        holds = (
            f"holds one class folder with files ({labels[0]})"
            if labels
            else "holds no class folders with files"
        )
        raise UserError(
            f"{raw} {holds}, expected two or more, as {raw}/CLASS/photo.jpg. Fetch a sample with "
            "'handlens sample', or bring your photos with 'handlens import FOLDER'."
        )
    return found


def walk(raw: bytes) -> Iterator[Found]:
    """Yield everything below `raw` that is no folder, in no particular order."""
    root = os.path.realpath(raw)
    entered = {identity(Path(os.fsdecode(root)).stat())}
    folders = [b""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(raw + b"/" + folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield Found(folder, 0, 0, reason(error), f"folder: {error.strerror}")
            continue
        below = []
        for entry in entries:
            path = folder + b"/" + entry.name if folder else entry.name
            found, enter = look(entry, path, root, entered)
            below += [path] if enter else []
            if found:
                yield found
        folders += reversed(below)


def look(
    entry: "os.DirEntry[bytes]", path: bytes, root: bytes, entered: set[tuple[int, int]]
) -> tuple[Found | None, bool]:
    """Judge one name in a folder: what is found, and whether it is a folder to enter."""
    try:
        status = entry.stat()
    except OSError as error:
        return Found(path, 0, 0, reason(error, link=entry.is_symlink()), error.strerror or ""), False
    if stat.S_ISDIR(status.st_mode):
        if (entry.is_symlink() and overlaps(os.path.realpath(entry.path), root)) or identity(
            status
        ) in entered:
            return Found(path, 0, 0, "looping_link"), False
        entered.add(identity(status))
        named_like_photo = os.fsdecode(entry.name).lower().endswith(SUFFIXES)
        return Found(path, 0, 0, "not_a_file", "folder") if named_like_photo else None, True
    return judged(path, status), False


def judged(path: bytes, status: os.stat_result) -> Found:
    """Say of a name that is no folder whether it is to be opened."""
    found = Found(path, status.st_size, status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode):
        return found._replace(status="not_a_file", detail=KINDS.get(stat.S_IFMT(status.st_mode), "unknown"))
    if not is_text(path):
        return found._replace(status="name_not_utf8")
    if not found.label:
        return found._replace(status="not_in_class_folder")
    return found


def is_class(name: bytes) -> bool:
    """Tell class folders from hidden ones, such as a notebook's."""
    return not name.startswith((b".", b"__MACOSX"))


def is_text(name: bytes) -> bool:
    """Tell whether a name is UTF-8."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def identity(status: os.stat_result) -> tuple[int, int]:
    """Identify a folder whatever its name."""
    return status.st_dev, status.st_ino


def overlaps(folder: bytes, root: bytes) -> bool:
    """Tell whether one of two folders lies in the other."""
    return os.path.commonpath([folder, root]) in (folder, root)


def reason(error: OSError, *, link: bool = False) -> str:
    """Give the reason code of what the file system refused."""
    if isinstance(error, PermissionError):
        return "no_permission"
    if error.errno == errno.ELOOP:
        return "looping_link"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "dangling_link" if link else "vanished"
    return "io_error"
