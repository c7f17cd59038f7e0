"""Bring a user's photos into the raw folder: from a folder or an archive of class folders, or a CSV list.

Everything is laid out beside the target first and moved in at the end, so that a refused or interrupted
import leaves the target as it was. The source is only read.
"""

import contextlib
import csv
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from handlens.errors import UserError

Laid = tuple[str, Callable[[Path], object]]  # path below the raw folder, how to write it to a path
JUNK = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}


def import_photos(source: Path, target: Path, *, link: bool = False) -> dict[str, int]:
    """Bring `source` into `target` as class folders and return photos per class.

    `source` is a folder of class folders, a zip or tar file of one, or a CSV with the columns path,label
    (paths relative to it). With `link`, files of a folder or CSV become symbolic links instead of copies.
    Raises `UserError` when a file would be overwritten or land outside, or nothing is found.
    """
    if source.is_dir():
        if source.resolve() == target.resolve() or source.resolve() in target.resolve().parents:
            raise UserError(f"{source} contains {target}; a folder cannot be imported into itself.")
        return lay(unwrapped(folder_files(source, link=link)), target, source)
    if not source.is_file():
        raise UserError(f"{source} does not exist. Give a folder, a zip or tar file, or a CSV list.")
    if source.suffix.lower() == ".csv":
        return lay(listed_files(source, link=link), target, source)
    if link:
        raise UserError(f"{source} is an archive; --link works for folders and CSV lists only.")
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            return lay(unwrapped(list(zip_files(archive, source))), target, source)
    if tarfile.is_tarfile(source):
        with tarfile.open(source) as archive:
            return lay(unwrapped(list(tar_files(archive, source))), target, source)
    raise UserError(
        f"{source} is neither a folder, a zip or tar file, nor a CSV list (path,label ending in .csv)."
    )


def place(members: Iterable[tuple[str, bytes]], target: Path) -> dict[str, int]:
    """Write (path, content) pairs into `target` by the same careful way."""
    files: list[Laid] = [
        (path, lambda to, content=content: to.write_bytes(content))  # type: ignore[misc]
        for path, content in members
    ]
    return lay(files, target, target)


def lay(files: list[Laid], target: Path, source: Path) -> dict[str, int]:
    """Write all files beside `target`, then move them in; refuse to overwrite anything."""
    if not files:
        raise UserError(
            f"{source} holds no class folders with photos; expected CLASS/photo.jpg, one folder a class."
        )
    for path, count in Counter(path for path, _ in files).items():
        if (target / path).exists() or (target / path).is_symlink():
            raise UserError(
                f"{target / path} exists and is never overwritten. Nothing was imported; remove that file "
                "from the source, or move the raw folder away."
            )
        if count > 1:
            raise UserError(f"{source} holds {path} {count} times. Nothing was imported.")
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for path, write in files:
            (staging / path).parent.mkdir(parents=True, exist_ok=True)
            write(staging / path)
        for path, _ in files:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (staging / path).rename(target / path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return dict(sorted(Counter(path.split("/")[0] for path, _ in files).items()))


def unwrapped(files: list[Laid]) -> list[Laid]:
    """Drop folders that merely wrap the class folders, and files that lie in no class folder."""
    while files:
        tops = {path.split("/")[0] for path, _ in files}
        wrapped = len(tops) == 1 and all(path.count("/") >= 2 for path, _ in files)
        if not wrapped:
            break
        files = [(path.split("/", 1)[1], write) for path, write in files]
    return [(path, write) for path, write in files if "/" in path]


def folder_files(source: Path, *, link: bool) -> list[Laid]:
    """List the files below a folder, in order of their paths."""
    files = []
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(name for name in folders if name not in JUNK)
        for name in sorted(names):
            path = Path(folder, name)
            if name not in JUNK and path.is_file():
                relative = path.relative_to(source).as_posix()
                files.append((require_inside(relative, source), from_file(path, link=link)))
    return files


def from_file(path: Path, *, link: bool) -> Callable[[Path], object]:
    """Say how a file on this disk gets to its place: a link to it, or a copy with its time."""
    if link:
        return lambda to: to.symlink_to(path.resolve())
    return lambda to: shutil.copy2(path, to)


def listed_files(source: Path, *, link: bool) -> list[Laid]:
    """Read a CSV of path,label; files of one name in one class are told apart by their folders."""
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
            header = rows[0].keys() if rows else ()
    except UnicodeDecodeError:
        raise UserError(f"{source} is not UTF-8 text. Save it as CSV in UTF-8.") from None
    if not rows or not {"path", "label"} <= set(header):
        raise UserError(f"{source} needs a first line with the columns path,label and rows below it.")
    places = [f"{row['label']}/{Path(row['path'] or '').name}" for row in rows]
    taken = Counter(places)
    files = []
    for line, (row, short) in enumerate(zip(rows, places, strict=True), start=2):
        path = source.parent / (row["path"] or "")
        label = row["label"] or ""
        if not path.is_file():
            raise UserError(f"{source}, line {line}: the photo {path} does not exist.")
        if not label.strip() or "/" in label or label in (".", ".."):
            raise UserError(f"{source}, line {line}: {label!r} cannot be the name of a class folder.")
        flat = PurePosixPath(row["path"]).as_posix().strip("/").replace("../", "").replace("/", "_")
        files.append((short if taken[short] == 1 else f"{label}/{flat}", from_file(path, link=link)))
    return files


def zip_files(archive: zipfile.ZipFile, source: Path) -> Iterator[Laid]:
    """List the files of a zip archive; links are refused, old Chinese file names are decoded."""
    require_room(sum(info.file_size for info in archive.infolist()), source)
    for info in archive.infolist():
        name = decoded_name(info)
        if info.is_dir() or JUNK & set(name.split("/")):
            continue
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UserError(f"{source}: {name} is a link; archives may hold files only.")
        if info.flag_bits & 1:
            raise UserError(f"{source} is encrypted. Unpack it first and import the folder.")
        yield require_inside(name, source), lambda to, info=info: unpack(archive, info, to)  # type: ignore[misc]


def unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, to: Path) -> None:
    """Write one member of a zip archive."""
    try:
        with archive.open(info) as member, to.open("wb") as file:
            shutil.copyfileobj(member, file)
    except (zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{archive.filename}: {info.filename} is damaged ({error}).") from None


def decoded_name(info: zipfile.ZipInfo) -> str:
    """Decode a member's name; without the UTF-8 flag Chinese systems wrote GBK, others UTF-8."""
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename
    raw = info.filename.encode("cp437", errors="replace")
    for encoding in ("utf-8", "gb18030"):
        with contextlib.suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return info.filename


def tar_files(archive: tarfile.TarFile, source: Path) -> Iterator[Laid]:
    """List the files of a tar archive; links and devices are refused."""
    members = archive.getmembers()
    require_room(sum(member.size for member in members), source)
    for member in members:
        if member.isdir() or JUNK & set(member.name.split("/")):
            continue
        if not member.isfile():
            raise UserError(f"{source}: {member.name} is a link or device; archives may hold files only.")
        content = archive.extractfile(member)
        if content is not None:
            name = member.name.removeprefix("./")
            yield require_inside(name, source), lambda to, content=content: save(content, to)  # type: ignore[misc]


def save(content: IO[bytes], to: Path) -> None:
    """Write one member of a tar archive."""
    with to.open("wb") as file:
        shutil.copyfileobj(content, file)


def require_inside(name: str, source: Path) -> str:
    """Refuse a path that would land outside the target, or that not every system can hold."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith("/") or ".." in parts or ":" in parts[0] or "\0" in name:
        raise UserError(f"{source}: {name!r} would land outside the raw folder. Nothing was imported.")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(
            f"{source}: the name {name!r} is not UTF-8. Rename that file; nothing was imported."
        ) from None
    return "/".join(part for part in parts if part not in ("", "."))


def require_room(size: int, source: Path) -> None:
    """Refuse an archive that would fill the disk."""
    free = shutil.disk_usage(Path.cwd()).free
    if size > free * 0.9:
        raise UserError(
            f"{source} unpacks to {size / 1e9:.1f} GB but only {free / 1e9:.1f} GB are free. "
            "Nothing was imported."
        )
