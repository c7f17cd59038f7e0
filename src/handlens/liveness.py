"""Who runs: one trainer per model at a time, and none that its `dvc repro` has left behind."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from handlens.errors import UserError

LOCK = "lock"
ORPHAN_SECONDS = 600.0  # how long a new trainer waits for an orphan to end its step and stop


@dataclass(frozen=True)
class Parents:
    """The processes that this one works for: its parent, and above it the nearest that runs dvc."""

    processes: tuple[psutil.Process, ...]

    @classmethod
    def of(cls, process: psutil.Process) -> "Parents":
        """Find them now; processes started by hand have their shell as the only one.

        Raises `UserError` when dvc started this process (it then names the stage in DVC_STAGE) and is gone:
        it was killed before the training began.
        """
        above = process.parents()
        runs_dvc = [number for number, parent in enumerate(above) if is_dvc(parent)]
        if not runs_dvc and "DVC_STAGE" in os.environ:
            raise UserError(
                f"the dvc that started {os.environ['DVC_STAGE']} is gone, so this training stops. "
                "Run 'dvc repro' again."
            )
        return cls(tuple(above[: runs_dvc[0] + 1] if runs_dvc else above[:1]))

    @property
    def name(self) -> str:
        """Say which they are."""
        return "the process that started this training ({})".format(
            ", ".join(str(process.pid) for process in self.processes)
        )

    def gone(self) -> bool:
        """Tell whether one of them has ended."""
        return not all(alive(process) for process in self.processes)


def is_dvc(process: psutil.Process) -> bool:
    """Tell whether a process runs the dvc command."""
    try:
        return any(Path(word).name in ("dvc", "dvc.exe") for word in process.cmdline()[:3])
    except psutil.Error:
        return False


def alive(process: psutil.Process) -> bool:
    """Tell whether a process still runs; one that ended and waits to be collected does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def only_trainer(folder: Path, parents: Parents) -> Iterator[None]:
    """Hold the lock of a model's folder of unfinished state; the folder goes when it is left empty.

    The lock is the kernel's (`flock`), so that it ends with its holder however that ends. While an orphan
    holds it this waits; another trainer at work is a `UserError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    file = acquire(path)
    try:
        os.ftruncate(file, 0)
        holder = [os.getpid(), [[parent.pid, parent.create_time()] for parent in parents.processes]]
        os.pwrite(file, json.dumps(holder).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)
    if not any(folder.iterdir()):
        folder.rmdir()


def acquire(path: Path) -> int:
    """Open and lock the file at `path`, waiting for an orphan that holds it."""
    until = time.monotonic() + ORPHAN_SECONDS
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 4096, 0)
            os.close(file)
            if time.monotonic() > until or not is_orphan(holder):
                refuse(path, holder)
            time.sleep(0.2)
            continue
        if path.exists() and path.stat().st_ino == os.fstat(file).st_ino:
            return file
        os.close(file)  # the last holder removed it between our opening and locking


def is_orphan(holder: bytes) -> bool:
    """Tell whether the trainer that wrote `holder` into the lock lost its parents, or has not written yet."""
    if not holder:
        return True
    parents = json.loads(holder)[1]
    return not all(psutil.pid_exists(pid) and same(pid, created) for pid, created in parents)


def same(pid: int, created: float) -> bool:
    """Tell whether the process `pid` is alive and the one that started at `created`."""
    try:
        process = psutil.Process(pid)
        return process.create_time() == created and alive(process)
    except psutil.NoSuchProcess:
        return False


def refuse(path: Path, holder: bytes) -> None:
    """Say who trains this model already."""
    pid = json.loads(holder)[0] if holder else "unknown"
    raise UserError(
        f"{path.parent.name} is being trained by another process (pid {pid}). Wait for it, or stop it with "
        f"'kill {pid}'; the next 'dvc repro' goes on where it was."
    )
