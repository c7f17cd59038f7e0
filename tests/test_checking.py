import os
from pathlib import Path

import pytest

from handlens.checking import check, check_raw
from handlens.errors import UserError


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = Path("params.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_shipped_parameters_pass():
    assert check(Path("params.yaml")).models


def test_an_unknown_architecture_names_the_recipe_and_the_nearest_name(tmp_path):
    path = edited(tmp_path, "arch: squeezenet1_1", "arch: squezenet1_1")
    with pytest.raises(UserError, match=r"recipes.squeezenet: .*'squezenet1_1'.*squeezenet1_1"):
        check(path)


def test_an_unknown_option_of_an_architecture_is_refused(tmp_path):
    path = edited(tmp_path, "arch: squeezenet1_1", "arch: squeezenet1_1\n    options: {w: 2}")
    with pytest.raises(UserError, match=r"recipes.squeezenet: .*'w'"):
        check(path)


def test_an_input_below_the_minimum_names_the_minimum(tmp_path):
    path = edited(tmp_path, "arch: squeezenet1_1", "arch: alexnet")
    small = path.read_text(encoding="utf-8").replace("input_size: 96", "input_size: 32")
    path.write_text(small, encoding="utf-8")
    with pytest.raises(
        UserError, match=r"recipes.squeezenet: alexnet needs photos of at least 39 px, but input_size is 32"
    ):
        check(path)


def test_a_missing_raw_folder_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"does not exist. 'handlens import FOLDER'"):
        check_raw(tmp_path / "raw")


def test_names_that_dvc_cannot_hold_are_named(tmp_path):
    (tmp_path / "raw/a").mkdir(parents=True)
    check_raw(tmp_path / "raw")
    (tmp_path / "raw/a/gone.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(UserError, match=r"a/gone.jpg is a link to nowhere.jpg, which does not exist"):
        check_raw(tmp_path / "raw")
    (tmp_path / "raw/a/gone.jpg").unlink()
    (tmp_path / "raw/a" / os.fsdecode(b"\xff\xfe.jpg")).write_bytes(b"x")
    with pytest.raises(UserError, match="not UTF-8"):
        check_raw(tmp_path / "raw")
