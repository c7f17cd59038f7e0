import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from handlens.errors import UserError
from handlens.importing import import_photos

FILES = {"可回收物 鼠标/一.jpg": b"1", "可回收物 鼠标/deep/二.jpg": b"22", "b/三.jpg": b"333"}


def lay_out(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def zipped(path: Path, files: dict[str, bytes] = FILES) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes] = FILES) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def found(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_every_kind_of_source_arrives_whole_and_is_counted(tmp_path, kind):
    make = {
        "folder": lambda: lay_out(tmp_path / "src"),
        "zip": lambda: zipped(tmp_path / "src.zip"),
        "tar": lambda: tarred(tmp_path / "src.tar.gz"),
    }
    counts = import_photos(make[kind](), tmp_path / "raw")
    assert counts == {"b": 1, "可回收物 鼠标": 2}
    assert found(tmp_path / "raw") == FILES
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_wrapping_folders_junk_and_stray_files_are_left_out(tmp_path):
    wrapped = {f"photos/train/{path}": content for path, content in FILES.items()}
    junk = {"photos/train/b/.DS_Store": b"x", "__MACOSX/photos/train/b/._三.jpg": b"x"}
    import_photos(zipped(tmp_path / "s.zip", {**wrapped, **junk}), tmp_path / "raw")
    assert found(tmp_path / "raw") == FILES
    stray = zipped(tmp_path / "t.zip", {**FILES, "readme.txt": b"x"})
    import_photos(stray, tmp_path / "raw2")
    assert found(tmp_path / "raw2") == FILES


def test_csv_list_sorts_photos_into_classes_and_keeps_equal_names_apart(tmp_path):
    lay_out(tmp_path, {"x/1.jpg": b"1", "y/1.jpg": b"2", "y/2.jpg": b"3"})
    (tmp_path / "list.csv").write_text("﻿path,label\nx/1.jpg,杯 子\ny/1.jpg,杯 子\ny/2.jpg,b\n", "utf-8")
    import_photos(tmp_path / "list.csv", tmp_path / "raw")
    assert found(tmp_path / "raw") == {"杯 子/x_1.jpg": b"1", "杯 子/y_1.jpg": b"2", "b/2.jpg": b"3"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,class\na.jpg,b\n", "needs a first line with the columns path,label"),
        ("path,label\nnone.jpg,b\n", r"line 2: the photo .*none.jpg does not exist"),
        ("path,label\na.jpg,b/c\n", "line 2: 'b/c' cannot be the name of a class folder"),
        ("path,label\na.jpg,\n", "line 2: '' cannot be the name of a class folder"),
    ],
)
def test_bad_csv_lists_name_the_line(tmp_path, text, message):
    lay_out(tmp_path, {"a.jpg": b"1"})
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        import_photos(tmp_path / "list.csv", tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_links_point_at_the_source(tmp_path):
    import_photos(lay_out(tmp_path / "src"), tmp_path / "raw", link=True)
    link = tmp_path / "raw/b/三.jpg"
    assert link.is_symlink()
    assert link.resolve() == (tmp_path / "src/b/三.jpg").resolve()


def test_nothing_is_overwritten_and_nothing_else_arrives(tmp_path):
    lay_out(tmp_path / "raw", {"b/三.jpg": b"mine"})
    with pytest.raises(UserError, match=r"b/三.jpg exists and is never overwritten. Nothing was imported"):
        import_photos(lay_out(tmp_path / "src"), tmp_path / "raw")
    assert found(tmp_path / "raw") == {"b/三.jpg": b"mine"}


@pytest.mark.parametrize(
    "name", ["../evil.jpg", "/etc/evil.jpg", "a/../../evil.jpg", "C:/evil.jpg", "a\\..\\..\\e"]
)
@pytest.mark.parametrize("make", [zipped, tarred])
def test_members_that_would_land_outside_are_refused(tmp_path, name, make):
    archive = make(
        tmp_path / "in" / "s.zip" if (tmp_path / "in").mkdir() is None else tmp_path, {**FILES, name: b"x"}
    )
    with pytest.raises(UserError, match="would land outside"):
        import_photos(archive, tmp_path / "raw")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]


def test_links_in_archives_are_refused(tmp_path):
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        member = tarfile.TarInfo("a/x.jpg")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(UserError, match="is a link or device"):
        import_photos(tmp_path / "s.tar", tmp_path / "raw")


def test_chinese_names_of_zip_files_without_utf8_flag(tmp_path):
    path = zipped(tmp_path / "s.zip", {"AAAAAA/x.jpg": b"1", "b/x.jpg": b"2"})
    gbk = "鼠标垫".encode("gbk")
    path.write_bytes(path.read_bytes().replace(b"AAAAAA", gbk))
    import_photos(path, tmp_path / "raw")
    assert set(found(tmp_path / "raw")) == {"鼠标垫/x.jpg", "b/x.jpg"}


def test_a_folder_is_not_imported_into_itself(tmp_path):
    lay_out(tmp_path / "data")
    with pytest.raises(UserError, match="cannot be imported into itself"):
        import_photos(tmp_path / "data", tmp_path / "data" / "raw")


def test_what_is_no_photo_source_is_said(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"123")
    (tmp_path / "empty").mkdir()
    for source, message in [
        (tmp_path / "none", "does not exist"),
        (tmp_path / "x.bin", "neither a folder, a zip or tar file"),
        (tmp_path / "empty", "holds no class folders"),
    ]:
        with pytest.raises(UserError, match=message):
            import_photos(source, tmp_path / "raw")


def test_source_stays_as_it_was(tmp_path):
    src = lay_out(tmp_path / "src")
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in src.rglob("*") if p.is_file()}
    import_photos(src, tmp_path / "raw")
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in src.rglob("*") if p.is_file()}
