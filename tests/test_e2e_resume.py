"""SIGKILL at random moments of a training under `dvc repro`: the next `dvc repro` ends in the same bits."""

import hashlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from project import BIN, TINY, Project, make_project, solar_photos

pytestmark = pytest.mark.e2e

KILLS = int(os.environ.get("KILLS", "6"))
RECIPE = {"arch": "tiny", "epochs": 12, "batch_size": 4, "ema": 0.9}
REPRO = ("dvc", "repro", "--force", "--single-item", "--no-run-cache", "train@small")
ENVIRONMENT = {"HANDLENS_THREADS": "1", "DVC_NO_ANALYTICS": "1"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, solar: Path) -> Project:
    """A project that is ready to train."""
    values: dict[str, Any] = {**TINY, "recipes": {**TINY["recipes"], "small": RECIPE}}
    project = make_project(tmp_path_factory.mktemp("project"), values)
    solar_photos(solar, 24, project.folder / "data/raw")
    project.repro("split")
    return project


def result(project: Project) -> dict[str, str]:
    """Hash what training wrote, but for the scores, which hold seconds."""
    files = ["models/small/weights.safetensors", "models/small/model.json", "plots/train/small.csv"]
    return {name: hashlib.sha256((project.folder / name).read_bytes()).hexdigest() for name in files}


def trainers(project: Project) -> list[psutil.Process]:
    """Find the running training processes of the project."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        words = process.info["cmdline"] or []
        if "stages/train.py" in words and process.info["cwd"] == str(project.folder):
            found.append(process)
    return [process for process in found if process.info["status"] != psutil.STATUS_ZOMBIE]


def assert_no_trainer(project: Project) -> None:
    """An orphan looks for its dvc once it has loaded its code, which takes seconds on a busy machine."""
    until = time.monotonic() + 30
    while trainers(project) and time.monotonic() < until:
        time.sleep(0.2)
    assert not trainers(project), "an orphan trains on"


def kill_at(project: Project, seconds: float, whole_group: bool) -> None:
    """Start the training and kill it: everything at once like a power cut, or `dvc` alone."""
    environment = {**os.environ, **ENVIRONMENT, "PATH": f"{BIN}:{os.environ['PATH']}"}
    dvc = subprocess.Popen(
        REPRO,
        cwd=project.folder,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(seconds)
    if whole_group:
        os.killpg(dvc.pid, signal.SIGKILL)
    else:
        dvc.kill()
    dvc.wait()


def test_killed_at_any_moment_it_ends_in_the_same_bits(project: Project) -> None:
    started = time.monotonic()
    project.run(*REPRO, **ENVIRONMENT)
    duration = time.monotonic() - started
    want = result(project)
    moments = random.Random(7)
    for number in range(KILLS):
        kill_at(project, moments.uniform(0.2, 1.0) * duration, whole_group=number % 2 == 0)
        project.run(*REPRO, **ENVIRONMENT)
        assert result(project) == want
        assert_no_trainer(project)
        assert not (project.folder / ".dvc/tmp/handlens/train/small").exists()
        assert not list(project.folder.rglob("*.partial"))


def test_an_orphan_stops_by_itself(project: Project) -> None:
    environment = {**os.environ, **ENVIRONMENT, "PATH": f"{BIN}:{os.environ['PATH']}"}
    state = project.folder / ".dvc/tmp/handlens/train/small/state.safetensors"
    dvc = subprocess.Popen(REPRO, cwd=project.folder, env=environment, stderr=subprocess.PIPE, text=True)
    while not state.exists():
        assert dvc.poll() is None
        time.sleep(0.01)
    dvc.kill()
    _, shown = dvc.communicate()  # ends when the orphan closes its end too
    assert "is gone, so this training stops" in " ".join(shown.split())
    assert_no_trainer(project)
    assert state.exists()
    project.run(*REPRO, **ENVIRONMENT)
    assert not state.parent.exists()
