import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from handlens import liveness
from handlens.errors import UserError
from handlens.liveness import LOCK, Parents, only_trainer

HOLD = """
import sys, time
from pathlib import Path
import psutil
from handlens.liveness import Parents, only_trainer
with only_trainer(Path(sys.argv[1]), Parents.of(psutil.Process())):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", *sys.argv[1:]])
"""


@contextmanager
def holding(*command: str) -> "Iterator[subprocess.Popen[str]]":
    """Run Python code that says when the lock is held; kill it at the end."""
    with subprocess.Popen([sys.executable, "-c", *command], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_trainer_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    folder = tmp_path / "resnet18"
    with holding(HOLD, str(folder), "60") as first:
        expected = rf"resnet18 is being trained by another process \(pid {first.pid}\)"
        with pytest.raises(UserError, match=expected), only_trainer(folder, Parents(())):
            pass


def test_the_lock_of_a_killed_trainer_is_free(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    with holding(HOLD, str(folder), "60"):
        pass
    assert (folder / LOCK).exists()
    with only_trainer(folder, Parents(())):
        assert json.loads((folder / LOCK).read_text())[0] == os.getpid()
    assert not folder.exists()


def test_the_lock_goes_also_after_an_error_and_a_state_keeps_its_folder(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(ZeroDivisionError), only_trainer(tmp_path, Parents(())):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_new_trainer_waits_for_an_orphan_to_stop(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    with holding(PARENT, HOLD, str(folder), "3") as parent:
        parent.kill()
        parent.wait()
        started = time.monotonic()
        with only_trainer(folder, Parents(())):
            assert time.monotonic() - started > 0.5


def test_an_orphan_that_does_not_stop_is_named_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "ORPHAN_SECONDS", 0.5)
    folder = tmp_path / "m"
    with holding(HOLD, str(folder), "60") as holder:
        gone = [[holder.pid, 0.0]]  # a parent whose number another process has now
        (folder / LOCK).write_text(json.dumps([holder.pid, gone]))
        with pytest.raises(UserError, match=f"pid {holder.pid}"), only_trainer(folder, Parents(())):
            pass


def test_parents_reach_up_to_dvc_and_no_further() -> None:
    shell = ["sh", "-c", "sleep 60; true"]
    dvc = subprocess.Popen([sys.executable, "-c", f"import subprocess; subprocess.run({shell})", "x"])
    renamed = psutil.Process(dvc.pid)
    while not (sleeps := [child for child in renamed.children(recursive=True) if child.name() == "sleep"]):
        time.sleep(0.05)
    assert len(Parents.of(sleeps[0]).processes) == 1
    for process in renamed.children(recursive=True):
        process.kill()
    dvc.wait()


def test_a_process_that_runs_dvc_is_known_by_its_command(tmp_path: Path) -> None:
    script = tmp_path / "dvc"
    script.write_text("import subprocess; subprocess.run(['sh', '-c', 'sleep 60; true'])")
    dvc = psutil.Popen([sys.executable, str(script), "repro"])
    while not (sleeps := [child for child in dvc.children(recursive=True) if child.name() == "sleep"]):
        time.sleep(0.05)
    parents = Parents.of(sleeps[0])
    assert [process.pid for process in parents.processes] == [sleeps[0].ppid(), dvc.pid]
    assert not parents.gone()
    dvc.kill()
    dvc.wait()
    assert parents.gone()
    sleeps[0].parent().kill()
    sleeps[0].kill()


def test_a_training_whose_dvc_is_gone_before_it_began_stops(monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "train@small")
    with pytest.raises(UserError, match=r"the dvc that started train@small is gone"):
        Parents.of(psutil.Process())
