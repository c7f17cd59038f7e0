"""Wrong raw folders, through the real `dvc repro`: one clear sentence, a non-zero exit, nothing damaged."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from project import Project, make_project, solar_photos
from test_e2e import fingerprint

pytestmark = pytest.mark.e2e

Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, solar: Path) -> Project:
    """A project with a few photos in which nothing ran yet."""
    project = make_project(tmp_path_factory.mktemp("start"))
    solar_photos(solar, 6, project.folder / "data/raw")
    return project


@pytest.fixture
def project(start: Project, tmp_path: Path) -> Project:
    """An own copy of it."""
    shutil.copytree(start.folder, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


def empty(raw: Path) -> None:
    shutil.rmtree(raw)
    raw.mkdir()


def one_class(raw: Path) -> None:
    for folder in sorted(raw.iterdir())[1:]:
        shutil.rmtree(folder)


def one_photo(raw: Path) -> None:
    for photo in sorted((raw / "poly ok").iterdir())[1:]:
        photo.unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shutil.rmtree, "there are no photos: the folder data/raw does not exist"),
        (empty, "data/raw"),
        (one_class, "class"),
        (one_photo, "class 'poly ok' has 1 usable photo group"),
    ],
)
def test_a_folder_that_cannot_be_used_gets_one_sentence(project, change: Change, message):
    raw = project.folder / "data/raw"
    change(raw)
    before = fingerprint(raw)
    result = project.run("dvc", "repro", "split", check=False)
    said = result.stdout + result.stderr
    assert result.returncode != 0
    assert message in said
    assert said.count("\nhandlens: ") == 1
    assert "Traceback" not in said
    assert fingerprint(raw) == before


def test_stray_files_and_text_named_jpg_are_rows_with_a_reason(project):
    raw = project.folder / "data/raw"
    (raw / "readme.txt").write_text("hello")
    (raw / "poly ok" / "text.jpg").write_text("this is no photo")
    (raw / "poly ok" / "empty.png").touch()
    project.repro("split")
    status = pd.read_csv(project.folder / "data/filter.csv").set_index("path")["status"]
    assert status["readme.txt"] == "not_in_class_folder"
    assert status["poly ok/text.jpg"] == "not_a_photo"
    assert status["poly ok/empty.png"] == "empty_file"
    assert (status == "ok").sum() == 18


def test_a_read_only_folder_simply_works(project):
    raw = project.folder / "data/raw"
    paths = [raw, *raw.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = fingerprint(raw)
    try:
        assert "split" in project.repro("split")
        assert fingerprint(raw) == before
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_contract_that_does_not_fit_names_the_field(project):
    project.repro("train@small")
    contract = project.folder / "data/contract.json"
    contract.write_text(contract.read_text("utf-8").replace('"input_size": 32', '"input_size": 24'), "utf-8")
    result = project.run(
        "python", "stages/evaluate.py", "params.yaml", "models/small", "data/split.csv", "data/contract.json",
        "data/scan/pixels", "out/p.csv", "out/l.csv", "out/looks", "out/m.json", "out/plots", "out/figures",
        check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "input_size: 24 against 32" in result.stderr or "input_size: 32 against 24" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (project.folder / "out").exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.epocs", 3, "train.epocs is not a parameter; did you mean epochs?"),
        ("scan.store_size", "big", "scan.store_size is 'big'"),
        ("split.test", 1.5, "split.test is 1.5, expected less than 1"),
        ("recipes.small.arch", "resnt18", "did you mean resnet18"),
    ],
)
def test_wrong_parameters_stop_before_anything_runs(project, key, value, message):
    project.change(key, value)
    result = project.run("dvc", "repro", check=False)
    assert result.returncode != 0
    assert message in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert not (project.folder / "data/scan").exists()
