"""One or many training processes: who am I, which device is mine, how sums are shared.

Without `torchrun` there is one process. Under it every process runs the same script: gloo joins CPUs,
nccl GPUs, on one machine or several. Process 0 is the only one that writes.
"""

import ctypes
import os
import platform
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import joblib
import torch
import torch.distributed as dist
from torch import Tensor

from handlens.errors import UserError

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of mallopt(3)


@dataclass(frozen=True)
class Processes:
    """This process among all of the training, and the device it computes on."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def total(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over all processes, in place."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def from_first(self, tensors: list[Tensor]) -> None:
        """Give every process the tensors of process 0, in place."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def object_from_first(self, value: Any) -> Any:
        """Give every process the object of process 0."""
        box = [value]
        if self.world > 1:
            dist.broadcast_object_list(box, 0)
        return box[0]


def relaunch() -> None:
    """Replace this process by `torchrun` with the arguments in HANDLENS_TORCHRUN, if there are any.

    The command that DVC records stays the same, however many devices a machine has.
    """
    arguments = os.environ.get("HANDLENS_TORCHRUN")
    if arguments and "WORLD_SIZE" not in os.environ:
        torchrun = [sys.executable, "-m", "torch.distributed.run", *shlex.split(arguments)]
        os.execv(sys.executable, [*torchrun, *sys.argv])


@contextmanager
def processes(device: str = "auto") -> Iterator[Processes]:
    """Join the processes that `torchrun` started, if it did, and set the thread count of this one.

    `device` is auto (a GPU if there is one), cpu or cuda.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    local, locals_ = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    mine = choose_device(device, local)
    if mine.type == "cpu":
        torch.set_num_threads(threads(locals_))
        keep_freed_memory()
    else:
        torch.cuda.set_device(mine)
    if world == 1:
        yield Processes(0, 1, mine)
        return
    dist.init_process_group("nccl" if mine.type == "cuda" else "gloo")
    try:
        yield Processes(rank, world, mine)
    finally:
        dist.destroy_process_group()


def choose_device(name: str, local_rank: int) -> torch.device:
    """Choose the device of the process `local_rank` of this machine."""
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"device is {name!r}, expected auto, cpu or cuda.")
    gpus = torch.cuda.device_count()
    if name == "cpu" or (name == "auto" and gpus == 0):
        return torch.device("cpu")
    if local_rank >= gpus:
        raise UserError(
            f"process {local_rank + 1} of this machine finds {gpus} GPU(s). Start torchrun with "
            f"--nproc_per_node={max(1, gpus)}, or set HANDLENS_DEVICE=cpu."
        )
    return torch.device("cuda", local_rank)


def keep_freed_memory() -> None:
    """Let glibc keep the memory that a training step frees for the next step, which needs as much again.

    By default large blocks go back to the kernel, which hands them out again page by page, each filled with
    zeros: a quarter of the time of MobileNet V2 at 96 px.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


def threads(processes_here: int) -> int:
    """Choose the threads of one process: HANDLENS_THREADS, or an equal share of the usable physical cores.

    Usable is what affinity and container limits leave. OMP_NUM_THREADS counts for a single process only,
    since torchrun sets it to 1, which would leave cores idle.
    """
    chosen = os.environ.get("HANDLENS_THREADS")
    if chosen is None and processes_here == 1:
        chosen = os.environ.get("OMP_NUM_THREADS")
    if chosen is None:
        return max(1, int(joblib.cpu_count(only_physical_cores=True)) // processes_here)
    if not chosen.isdecimal() or int(chosen) < 1:
        raise UserError(
            f"HANDLENS_THREADS (or OMP_NUM_THREADS) is {chosen!r}, expected a whole number from 1."
        )
    return int(chosen)
