"""Decode jobs in processes, on this machine or a cluster; a process that dies costs the file that killed it.

joblib runs the jobs: its loky processes here, its Dask backend when a scheduler is given. When a process
dies, the jobs that were under way are done again file by file, one at a time, and the file during which a
process dies a second time gets a reason code.
"""

import contextlib
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import joblib

from handlens.decoding import Job, Row, Settings, decode, failures
from handlens.errors import UserError

ALIVE = "alive"
Results = Iterator[tuple[Job, list[Row]]]


class Workers:
    """Where jobs run: `count` processes of this machine, or the Dask cluster of the address `scheduler`.

    A decoder may take `seconds` for a file. Files must be seen under the same path by every worker.
    """

    def __init__(self, count: int, scheduler: str | None, settings: Settings, seconds: float) -> None:
        self.count, self.scheduler = count, scheduler
        self.settings, self.seconds = settings, seconds

    def run(self, jobs: Sequence[Job]) -> Results:
        """Yield every job with its rows, as they come."""
        with cluster(self.scheduler) as threads:
            count = threads or self.count
            left = list(jobs)
            while left:
                try:
                    for job, rows in self.parallel(left, count, at_once=2 * count, remote=threads > 0):
                        left.remove(job)
                        yield job, rows
                except crashes(self.scheduler):
                    suspects, left = left[: 2 * count], left[2 * count :]
                    for job in suspects:
                        yield from self.one_by_one(job)

    def parallel(self, jobs: Sequence[Job], count: int, *, at_once: int, remote: bool) -> Results:
        """Run jobs, at most `at_once` handed out at a time, in order.

        joblib would run a single worker's jobs in this very process, where a decoder's crash would end the
        scan; so there are two processes at least, which then get one job at a time.
        """
        with joblib.parallel_config(backend="dask" if remote else "loky"):
            run = joblib.Parallel(
                n_jobs=count if remote else max(2, count),
                pre_dispatch=at_once if count > 1 else 1,
                batch_size=1,
                return_as="generator_unordered",
            )
            results = run(joblib.delayed(labelled)(job, self.settings, self.seconds) for job in jobs)
        try:
            for result in results:  # noqa: UP028 - `yield from` would close `results` with a warning
                yield result
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results.close()

    def one_by_one(self, job: Job) -> Results:
        """Run the files of a job on this machine, each as a job of its own, and outlive their crashes."""
        for number, path in enumerate(job.paths):
            squares = job.squares.with_name(f"{job.squares.stem}-{number}.npy")
            single = replace(job, paths=(path,), squares=squares)
            since = time.monotonic()
            try:
                yield from list(self.parallel([single], 1, at_once=1, remote=False))
            except BrokenProcessPool as error:
                took = time.monotonic() - since
                require_workers()
                yield single, failures(single.paths, *self.verdict(str(error), took))

    def verdict(self, message: str, took: float) -> tuple[str, str]:
        """Tell from loky's message how the process ended: by our watch, or by itself."""
        codes = re.search(r"exit codes of the workers are \{(.*?)\}", message)
        ended = codes[1] if codes else "unknown exit code"
        if "EXIT(1)" in ended and took >= self.seconds:
            return "timeout", f"not done after {self.seconds:g} s"
        return "decoder_crashed", ended


def labelled(job: Job, settings: Settings, seconds: float) -> tuple[Job, list[Row]]:
    """Decode a job and say which it was, since results come in any order."""
    return job, decode(job, settings, seconds)


def require_workers() -> None:
    """Make sure that it was the file: a job that does nothing must succeed."""
    try:
        answers = joblib.Parallel(n_jobs=2, backend="loky", pre_dispatch=1)(
            joblib.delayed(str)(ALIVE) for _ in range(1)
        )
    except BrokenProcessPool as error:
        raise UserError(
            f"worker processes do not stay alive on this machine ({error}). Free some memory, or set "
            "HANDLENS_WORKERS=1, and run again: what is decoded is kept."
        ) from None
    assert answers == [ALIVE]


@contextlib.contextmanager
def cluster(scheduler: str | None) -> Iterator[int]:
    """Connect to a Dask scheduler, if one is given; gives the number of its workers' threads."""
    if scheduler is None:
        yield 0
        return
    try:
        import distributed
    except ImportError:
        raise UserError(f"the scheduler {scheduler} needs Dask: pip install 'handlens[cluster]'") from None
    try:
        client = distributed.Client(scheduler, timeout=5, set_as_default=True)
    except (OSError, ValueError, TimeoutError) as error:
        raise UserError(
            f"no Dask scheduler answers at {scheduler} ({error}). Start one with 'dask scheduler', give its "
            "address as HANDLENS_SCHEDULER=tcp://HOST:8786, or unset that to use this machine."
        ) from None
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise UserError(
                f"the Dask scheduler at {scheduler} has no workers. Start some: dask worker {scheduler}"
            )
        yield threads


def crashes(scheduler: str | None) -> tuple[type[BaseException], ...]:
    """Name what is raised when processes died."""
    if scheduler is None:
        return (BrokenProcessPool,)
    import distributed

    return BrokenProcessPool, distributed.scheduler.KilledWorker
