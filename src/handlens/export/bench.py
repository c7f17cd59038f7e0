"""What a file costs: bytes, milliseconds, memory, operators."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from handlens import prediction
from handlens.export import formats, latency, memory, runtime
from handlens.export.latency import Latency
from handlens.prediction import Model

EAGER = "PyTorch"
WARMUP = 10


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one file. Sizes in 10^6 bytes; times in ms, of one photo."""

    path: Path
    kind: str
    megabytes: float
    compressed: float  # gzip, as a web server sends it
    single: Latency  # on one thread
    threaded: Latency  # on all cores
    memory: float | None  # peak of loading and predicting
    operators: dict[str, int]  # how often each occurs in the file; of ONNX only


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Files, and the trained model in PyTorch on one thread if it was asked for, from one run."""

    costs: tuple[Cost, ...]
    eager: Latency | None


def measure(paths: Sequence[Path], *, rounds: int, against: Path | None = None) -> Benchmark:
    """Measure files, and the trained model in folder `against`, on the same square of noise, taking turns.

    Raises `UserError` for files that are not exported ones.
    """
    eager = None if against is None else prediction.load_trained(against)
    with nullcontext() if eager is None else one_torch_thread():
        single = times(paths, rounds=rounds, threads=1, eager=eager)
    threaded = times(paths, rounds=rounds, threads=0, eager=None)
    costs = tuple(cost(path, single[str(path)], threaded[str(path)]) for path in paths)
    return Benchmark(costs=costs, eager=single.get(EAGER))


def one_torch_thread() -> AbstractContextManager[None]:
    """Let PyTorch compute on one thread; only needed, and only imported, beside a trained model."""
    from handlens.export.reference import one_thread

    return one_thread()


def times(paths: Sequence[Path], *, rounds: int, threads: int, eager: Model | None) -> dict[str, Latency]:
    """Time one photo by every file, and by `eager` under its own name."""
    calls: dict[str, Callable[[], object]] = {}
    for path in paths:
        exported = runtime.open_file(path, threads=threads)
        calls[str(path)] = partial(exported.predict, square(exported.metadata.contract.store_size))
    if eager is not None:
        calls[EAGER] = partial(eager.predict, square(eager.contract.store_size))
    return latency.measure(calls, rounds=rounds, warmup=WARMUP)


def square(size: int) -> np.ndarray:
    """Make one photo (1, size, size, 3) of noise, always the same."""
    return np.random.default_rng(0).integers(0, 256, (1, size, size, 3)).astype(np.uint8)


def cost(path: Path, single: Latency, threaded: Latency) -> Cost:
    """Put what was timed beside what can be counted."""
    content = path.read_bytes()
    kind = runtime.load(content, str(path)).metadata.kind
    return Cost(
        path=path,
        kind=kind,
        megabytes=len(content) / 1e6,
        compressed=len(gzip.compress(content)) / 1e6,
        single=single,
        threaded=threaded,
        memory=memory.peak_megabytes(path),
        operators=operators(content) if formats.format_of(kind) == "onnx" else {},
    )


def operators(content: bytes) -> dict[str, int]:
    """Count the operators of an ONNX file."""
    graph = onnx.load_model_from_string(content).graph
    return dict(Counter(node.op_type for node in graph.node).most_common())


def as_json(benchmark: Benchmark) -> str:
    """Write everything, for programs."""
    files = [{**asdict(cost), "path": str(cost.path)} for cost in benchmark.costs]
    eager = None if benchmark.eager is None else asdict(benchmark.eager)
    return json.dumps({"files": files, "eager": eager}, indent=2, ensure_ascii=False)


def table(benchmark: Benchmark) -> str:
    """Write a line per file; ratios are to PyTorch if it was timed, else to the first file."""
    base = benchmark.eager or benchmark.costs[0].single
    lines = ["  MB   gzip   1 thread: ms, p95, ratio   all threads: ms, p95   peak MB   file"]
    for cost in benchmark.costs:
        one, many = cost.single, cost.threaded
        peak = "-" if cost.memory is None else f"{cost.memory:.0f}"
        lines.append(
            f"{cost.megabytes:6.2f} {cost.compressed:6.2f} {one.median:10.2f} {one.p95:7.2f} "
            f"{one.median / base.median:6.2f} {many.median:15.2f} {many.p95:7.2f} {peak:>9}   {cost.path}"
        )
    if benchmark.eager is not None:
        lines.append(
            f"{'':13} {benchmark.eager.median:10.2f} {benchmark.eager.p95:7.2f} {1:6.2f} {'':34} {EAGER}"
        )
    return "\n".join(lines)
