"""Measure in a process of its own how much memory a file takes to load and predict (Linux)."""

import subprocess
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_megabytes(path: Path) -> float | None:
    """Give the peak above that of an idle onnxruntime, in 10^6 bytes; None where the system does not tell."""
    if not STATUS.exists():
        return None
    command = [sys.executable, "-m", "handlens.export.memory", str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def kilobytes(field: str) -> int:
    """Read VmRSS (now) or VmHWM (peak) of this process."""
    lines = STATUS.read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{field}:")))


def measure(path: Path) -> float:
    """Load a file, predict one photo twice, and give the peak above the memory before, in 10^6 bytes."""
    import numpy as np

    from handlens.export import runtime

    before = kilobytes("VmRSS")
    exported = runtime.open_file(path, threads=1)
    size = exported.metadata.contract.store_size
    for _ in range(2):
        exported.predict(np.zeros((1, size, size, 3), np.uint8))
    return (kilobytes("VmHWM") - before) * 1024 / 1e6


if __name__ == "__main__":
    sys.stdout.write(f"{measure(Path(sys.argv[1]))}\n")
