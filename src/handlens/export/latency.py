"""How long one photo takes, measured so that two candidates on one busy machine can be compared."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Of one call, in milliseconds."""

    median: float
    p95: float


def measure(calls: Mapping[str, Callable[[], object]], *, rounds: int, warmup: int) -> dict[str, Latency]:
    """Time every call `rounds` times after `warmup` untimed rounds.

    The calls take turns, so that whatever else the machine does falls on all of them alike: quote the ratio
    of two medians rather than the medians.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(warmup + rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if number >= warmup:
                seconds[name].append(time.perf_counter() - start)
    return {
        name: Latency(median=float(np.median(taken)) * 1000, p95=float(np.percentile(taken, 95)) * 1000)
        for name, taken in seconds.items()
    }
