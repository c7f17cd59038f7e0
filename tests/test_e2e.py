"""Real runs of `dvc repro` on real photos with a tiny model: which stages run, and what comes out."""

import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from project import CLASSES, Project, make_project, solar_photos
from ruamel.yaml import YAML

pytestmark = pytest.mark.e2e

TABLES = {"filter", "augment", "balance", "stats", "split"}
MODELS = {f"{stage}@{model}" for stage in ("train", "evaluate") for model in ("small", "other")}
EVERYTHING = {"check", "scan", *TABLES, *MODELS, "compare", "export@small", "files", "gate"}


def fingerprint(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Content, modification time and mode of every file below `folder`."""
    return {
        path.relative_to(folder).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
            path.stat().st_mode,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, solar: Path) -> Project:
    """A project in which the whole pipeline ran once; every test leaves it as it found it."""
    project = make_project(tmp_path_factory.mktemp("project"))
    solar_photos(solar, 24, project.folder / "data/raw")
    # for the test of exact duplicates; a real photo twice in one class
    first = next((project.folder / "data/raw/poly ok").iterdir())
    (first.parent / "again.png").write_bytes(first.read_bytes())
    before = fingerprint(project.folder / "data/raw")
    assert project.repro() == EVERYTHING
    assert fingerprint(project.folder / "data/raw") == before
    return project


def test_second_run_does_nothing(project):
    assert project.repro() == set()


def test_every_raw_file_has_one_row(project):
    verdict = pd.read_csv(project.folder / "data/filter.csv")
    raw = project.folder / "data/raw"
    assert sorted(verdict["path"]) == sorted(p.relative_to(raw).as_posix() for p in raw.rglob("*.png"))
    assert (verdict["status"] == "exact_duplicate").sum() == 1


def test_products_use_chinese_class_names(project):
    contract = json.loads((project.folder / "data/contract.json").read_text("utf-8"))
    assert contract["classes"] == sorted(CLASSES.values())
    predictions = pd.read_csv(project.folder / "data/predictions/small.csv")
    assert set(CLASSES.values()) <= set(predictions.columns)
    assert (project.folder / "data/predictions/small.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_split_proves_that_nothing_leaks(project):
    proof = json.loads((project.folder / "metrics/split.json").read_text())
    assert proof["leakage"] == 0
    assert proof["checked_pairs"] > 0
    sides = pd.read_csv(project.folder / "data/split.csv")
    assert (sides.groupby("group")["split"].nunique() == 1).all()


def test_export_agrees_with_the_trained_model(project):
    verdict = json.loads((project.folder / "metrics/export/small.json").read_text())
    assert verdict["passed"] is True
    assert list((project.folder / "models/small/export").glob("*.onnx"))


def test_a_filter_change_runs_what_depends_on_it_and_going_back_is_cached(project):
    project.change("filter.min_side", 301)
    result = project.run("dvc", "repro", check=False)
    assert result.returncode != 0
    assert "after filtering 0 class" in result.stderr + result.stdout
    project.change("filter.min_side", 33)
    # no photo is that small, so that the table stays the same and nothing after it runs
    assert project.repro() == {"check", "filter"}
    project.change("filter.min_side", 32)
    assert project.repro() == set()


def test_a_recipe_change_runs_that_model_only(project):
    project.change("recipes.small.lr", 0.01)
    assert project.repro() == {
        "check",
        "train@small",
        "evaluate@small",
        "compare",
        "export@small",
        "files",
        "gate",
    }
    project.run("git", "checkout", "params.yaml")
    assert project.repro() == set()


def test_adding_and_removing_a_model(project):
    project.change("models", ["small", "other", "third"])
    assert project.repro() == {"check", "train@third", "evaluate@third", "compare", "gate"}
    board = pd.read_csv(project.folder / "plots/compare.csv")
    assert set(board["model"]) == {"small", "other", "third"}
    project.change("models", ["small", "other"])
    project.repro()
    board = pd.read_csv(project.folder / "plots/compare.csv")
    assert set(board["model"]) == {"small", "other"}
    project.run("git", "checkout", "params.yaml")


def test_a_student_follows_its_teacher(project):
    project.change("distill", {"third": {"teacher": "small", "temperature": 4, "weight": 0.5}})
    student = {"distill@third", "evaluate_student@third", "compare", "gate"}
    assert project.repro() == {"check", *student}
    board = pd.read_csv(project.folder / "plots/compare.csv")
    assert set(board["model"]) == {"small", "other", "third"}
    project.change("distill.third.weight", 0.6)
    assert project.repro() == {"check", *student}
    project.change("recipes.other.lr", 0.01)
    assert project.repro() == {"check", "train@other", "evaluate@other", "compare", "gate"}
    project.change("recipes.small.lr", 0.02)
    assert project.repro() == {"check", "train@small", "evaluate@small", "export@small", "files", *student}
    project.run("git", "checkout", "params.yaml")
    project.repro()


def test_a_balance_change_retrains_but_opens_no_photo(project):
    project.change("balance.max_count", 12)
    stages = project.repro()
    assert "scan" not in stages
    assert {"balance", "stats", "split", "train@small", "train@other"} <= stages
    assert not stages & {"filter", "augment"}
    project.run("git", "checkout", "params.yaml")
    assert project.repro() == set()


def gate_step(base: str) -> str:
    """Take the command of the step Gate out of the workflow, for a pull request onto `base`."""
    workflow = Path(__file__).parent.parent / ".github" / "workflows" / "handlens.yml"
    steps = YAML(typ="safe").load(workflow)["jobs"]["pipeline"]["steps"]
    (command,) = (step["run"] for step in steps if step.get("name") == "Gate")
    return str(command).replace("${{ github.base_ref }}", base)


def test_a_pull_request_that_lowers_one_class_below_its_floor_fails_in_ci(project, tmp_path):
    """Real metrics of two real trainings, a real remote, and the very command of the workflow."""
    shutil.copytree(project.folder, tmp_path / "clone", symlinks=True)
    clone = Project(tmp_path / "clone")
    clone.change("models", ["small"])
    clone.repro()
    recalls = pd.read_csv(clone.folder / "plots/evaluate/small/classes.csv").set_index("class")["recall"]
    others = {"floors": {}, "class_recall": None, "max_drop": {}}
    clone.change("gate", {**clone.params()["gate"], **others, "class_recall_of": recalls.to_dict()})
    clone.repro()
    commit(clone, "Declare the floors that the model holds")
    clone.run("git", "clone", "-q", "--bare", ".", str(tmp_path / "origin.git"))
    clone.run("git", "remote", "add", "origin", str(tmp_path / "origin.git"))
    clone.run("git", "fetch", "-q", "origin")
    held = clone.run("bash", "-c", gate_step("main"), check=False)
    assert (held.returncode, held.stdout.splitlines()[-1]) == (0, "pass: small"), held.stdout

    clone.run("git", "switch", "-qc", "worse")
    clone.change("recipes.small.lr", 1e-9)  # it stays at its first weights, which know no class
    clone.repro()
    commit(clone, "Lower the learning rate")
    after = pd.read_csv(clone.folder / "plots/evaluate/small/classes.csv").set_index("class")["recall"]
    lost = [name for name in after.index if after[name] < recalls[name]]
    assert lost
    failed = clone.run("bash", "-c", gate_step("main"), check=False)
    assert failed.returncode == 1, failed.stdout
    for name in lost:
        assert f"- recall of {name} is {after[name]:.4g}, must be >= {recalls[name]:.4g}" in failed.stdout
    assert failed.stdout.splitlines()[-1] == "fail: small"

    both = json.loads(clone.run("handlens", "compare", "--json", "--at", "main", "--at", "workspace").stdout)
    assert [(row["revision"], row["model"]) for row in both] == [("main", "small"), ("workspace", "small")]
    assert both[0]["accuracy"] > both[1]["accuracy"]
    unknown = clone.run("handlens", "compare", "--at", "nowhere", check=False)
    assert unknown.returncode == 1
    assert "nowhere" in unknown.stderr
    assert "Traceback" not in unknown.stderr


def commit(project: Project, message: str) -> None:
    """Commit everything that Git does not ignore."""
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", message)
