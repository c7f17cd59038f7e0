import json
import os
import platform
import subprocess
import sys
from typing import Any

import many
import pytest
import torch
from textures import ONE

from handlens import distributed
from handlens.errors import UserError


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process saw in the cases of `many`."""
    return many.run(tmp_path_factory.mktemp("one"), ONE, many.ONE_PROCESS)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes under torchrun saw."""
    folder = tmp_path_factory.mktemp("two")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    result = subprocess.run(
        [*torchrun, many.__file__, str(folder)],
        env={**os.environ, "HANDLENS_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_two_processes_take_the_steps_of_one(one: dict[str, Any], two: list[dict[str, Any]]) -> None:
    """The same photos and crops in every step; without batch norm and dropout the same losses."""
    losses, scores = two[0]["plain"]
    assert two[0]["plain"] == two[1]["plain"]
    assert len(losses) == 24
    assert losses == pytest.approx(one["plain"][0], abs=1e-5)
    for ours, theirs in zip(scores, one["plain"][1], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_processes_and_accumulation_split_a_step_alike(
    one: dict[str, Any], two: list[dict[str, Any]]
) -> None:
    """Dropout, mixup and erasing are drawn per part: two parts in each of two processes are four parts."""
    assert two[0]["random"][0] == pytest.approx(one["random"][0], abs=1e-5)


def test_with_batch_norm_processes_agree_among_themselves(
    one: dict[str, Any], two: list[dict[str, Any]]
) -> None:
    """Batch norm sees each process's part only, so losses are near those of one process, not equal."""
    assert two[0]["norms"] == two[1]["norms"]
    assert two[0]["norms"][0] == pytest.approx(one["norms"][0], abs=0.3)
    assert two[0]["norms"][0] != pytest.approx(one["norms"][0], abs=1e-4)


def test_processes_go_on_together_from_one_state(two: list[dict[str, Any]]) -> None:
    (losses, scores), (rest, last) = two[0]["norms"], two[0]["left"]
    assert rest == pytest.approx(losses[11:], abs=1e-6)
    assert last[-1] == pytest.approx(scores[-1], abs=1e-6)


def test_one_process_needs_no_torchrun() -> None:
    with distributed.processes("cpu") as processes:
        assert (processes.rank, processes.world, processes.first) == (0, 1, True)
        tensor = torch.tensor([1.0, 2.0])
        assert processes.total(tensor).tolist() == [1.0, 2.0]
        assert processes.object_from_first("x") == "x"
    assert ONE.device.type == "cpu"


def test_an_unknown_device_and_a_gpu_that_is_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="'tpu', expected auto, cpu or cuda"):
        distributed.choose_device("tpu", 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert distributed.choose_device("auto", 0) == torch.device("cuda", 0)
    with pytest.raises(UserError, match=r"process 2 of this machine finds 1 GPU.*--nproc_per_node=1"):
        distributed.choose_device("cuda", 1)


@pytest.mark.parametrize(
    ("environment", "here", "want"),
    [({"HANDLENS_THREADS": "3", "OMP_NUM_THREADS": "1"}, 4, 3), ({"OMP_NUM_THREADS": "5"}, 1, 5)],
)
def test_threads_follow_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], here: int, want: int
) -> None:
    for name in ("HANDLENS_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert distributed.threads(here) == want


def test_cores_are_shared_by_the_processes_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANDLENS_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as torchrun sets it
    monkeypatch.setattr(distributed.joblib, "cpu_count", lambda only_physical_cores: 8)
    assert distributed.threads(2) == 4
    assert distributed.threads(16) == 1
    monkeypatch.setenv("HANDLENS_THREADS", "many")
    with pytest.raises(UserError, match="'many', expected a whole number"):
        distributed.threads(1)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_a_step_gets_the_memory_of_the_last_one() -> None:
    """40 MB, given up and taken again ten times: fresh pages would be faults, 10,000 each time."""
    program = """
import resource, torch
from handlens import distributed
with distributed.processes("cpu"):
    for _ in range(20):
        torch.ones(10_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(10_000_000)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert int(found.stdout) < 1000
