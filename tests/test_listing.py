import os
import socket
import tempfile
import unicodedata
from pathlib import Path

import pytest

from handlens.errors import UserError
from handlens.listing import list_raw


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    touch(tmp_path / "raw/单晶 正常/1.jpg")
    touch(tmp_path / "raw/b/2.jpg")
    return tmp_path / "raw"


def statuses(raw: Path) -> dict[str, str]:
    found = list_raw(raw)
    assert [file.path for file in found] == sorted(file.path for file in found)
    assert len({file.path for file in found}) == len(found)
    return {file.text: file.status for file in found}


def test_every_file_once_whatever_it_is(raw: Path):
    (raw / "b/folder.jpg").mkdir()
    touch(raw / "b/folder.jpg/inside.jpg")
    os.mkfifo(raw / "b/pipe.jpg")
    (raw / "b/dangling.jpg").symlink_to("nowhere")
    (raw / "b/self.jpg").symlink_to("self.jpg")
    (raw / "b/zero.jpg").symlink_to("/dev/zero")
    (raw / "b/up").symlink_to("..")
    (raw / "b/copy.jpg").symlink_to("2.jpg")
    touch(raw / "b/deep/er/3.jpg")
    touch(raw / ".hidden/4.jpg")
    touch(raw / "b/.DS_Store")
    touch(raw / "beside.jpg")
    touch(raw / "b" / ("n" * 251 + ".jpg"))
    touch(raw / "b" / os.fsdecode(b"\xff\xfe.jpg"))
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(raw / "b/door"))
    assert statuses(raw) == {
        ".hidden/4.jpg": "not_in_class_folder",
        "b/.DS_Store": "",
        "b/2.jpg": "",
        "b/copy.jpg": "",
        "b/dangling.jpg": "dangling_link",
        "b/deep/er/3.jpg": "",
        "b/door": "not_a_file",
        "b/folder.jpg": "not_a_file",
        "b/folder.jpg/inside.jpg": "",
        "b/" + "n" * 251 + ".jpg": "",
        "b/pipe.jpg": "not_a_file",
        "b/self.jpg": "looping_link",
        "b/up": "looping_link",
        "b/zero.jpg": "not_a_file",
        "b/\\xff\\xfe.jpg": "name_not_utf8",
        "beside.jpg": "not_in_class_folder",
        "单晶 正常/1.jpg": "",
    }


def test_links_to_folders_elsewhere_are_followed_once(raw: Path, tmp_path: Path):
    touch(tmp_path / "elsewhere/5.jpg")
    (tmp_path / "elsewhere/round").symlink_to(tmp_path / "elsewhere")
    (raw / "c").symlink_to(tmp_path / "elsewhere")
    (raw / "d").symlink_to(tmp_path / "elsewhere")
    found = statuses(raw)
    assert found["c/5.jpg"] == ""
    assert found["c/round"] == found["d"] == "looping_link"


def test_a_link_to_a_class_does_not_double_it(raw: Path):
    (raw / "a-link").symlink_to(raw / "b")
    assert statuses(raw)["a-link"] == "looping_link"
    assert statuses(raw)["b/2.jpg"] == ""


def test_labels_are_composed_unicode(raw: Path):
    touch(raw / unicodedata.normalize("NFD", "café") / "1.jpg")
    touch(raw / unicodedata.normalize("NFC", "café") / "2.jpg")
    labels = [file.label for file in list_raw(raw)]
    assert labels == ["b", "café", "café", "单晶 正常"]


def test_folders_deeper_than_any_path_do_not_stop_it(raw: Path):
    here = Path.cwd()
    try:
        os.chdir(raw / "b")
        for _ in range(30):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
    finally:
        os.chdir(here)
    assert "io_error" in statuses(raw).values()


def test_what_may_not_be_read_has_a_row(raw: Path):
    touch(raw / "b/closed/6.jpg")
    (raw / "b/closed").chmod(0)
    raw.chmod(0o755)
    for folder in raw.parents:
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)
    me = os.geteuid()
    try:
        if me == 0:
            os.seteuid(65534)
        found = statuses(raw)
    finally:
        os.seteuid(me)
        (raw / "b/closed").chmod(0o755)
    assert found["b/closed"] == "no_permission"
    assert found["b/2.jpg"] == ""


def test_a_raw_folder_without_classes_says_the_way_out(tmp_path: Path):
    with pytest.raises(UserError, match=r"raw is not a folder.*handlens sample.*handlens import"):
        list_raw(tmp_path / "raw")
    (tmp_path / "raw/empty").mkdir(parents=True)
    with pytest.raises(UserError, match="no class folders with files, expected two or more"):
        list_raw(tmp_path / "raw")
    touch(tmp_path / "raw/beside.jpg")
    touch(tmp_path / "raw/only/1.jpg")
    with pytest.raises(UserError, match=r"one class folder with files \(only\)"):
        list_raw(tmp_path / "raw")
