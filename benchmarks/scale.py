"""Does the scan stay small and quick when photos are many?

    python benchmarks/scale.py

- 100,000 synthetic hashes and thumbs, a tenth of them copies, through the near-duplicate search; limit 60 s;
- `scan` of 2,000 and of 20,000 photos, each in a process of its own: the greatest sum of memory over its
  processes (what they share counts once), less the tables; limit: 1.2 times.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import psutil

from handlens import duplicates, scanning
from handlens.decoding import Settings
from handlens.fingerprints import THUMB

HASHES = 100_000
COUNTS = (2_000, 20_000)
PERIOD = 0.1  # seconds between two looks at the memory


def search() -> None:
    """Time the near-duplicate search."""
    random = np.random.default_rng(0)
    thumbs = random.integers(0, 255 * 128, (HASHES, THUMB, THUMB)).astype(np.uint16)
    hashes = random.integers(0, 2**63, HASHES).astype(np.uint64)
    copies = np.arange(0, HASHES, 10)[1:]
    thumbs[copies] = thumbs[copies - 1]
    hashes[copies] = hashes[copies - 1] ^ (
        np.uint64(1) << random.integers(1, 63, len(copies)).astype(np.uint64)
    )
    content = pd.Series([f"{number:064x}" for number in range(HASHES)])
    started = time.perf_counter()
    found = duplicates.groups(
        content, hashes, thumbs, np.ones(HASHES, bool), distance=7, difference_limit=1.1
    )
    seconds = time.perf_counter() - started
    right = int((found[copies] == copies - 1).sum())
    others = int((found != np.arange(HASHES)).sum()) - right
    print(f"{HASHES} hashes: {seconds:.1f} s (at most 60), {right} of {len(copies)} copies, {others} others")


def write_photos(raw: Path, count: int) -> None:
    """Write photos of smooth noise, each its own."""
    random = np.random.default_rng(0)
    for number in range(count):
        small = random.integers(0, 256, (12, 16, 3)).astype(np.uint8)
        photo = cv2.resize(small, (400, 300), interpolation=cv2.INTER_CUBIC)
        path = raw / f"class{number % 4}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".jpg", photo)[1].tobytes())


def scan(raw: Path, out: Path) -> None:
    """Scan in this process and print the size of the tables in memory, in bytes."""
    photos = scanning.scan(
        raw,
        out / "scan",
        settings=Settings(96, "letterbox", "black", 200),
        distance=7,
        difference=1.1,
        unfinished=out / "unfinished",
        where=scanning.Where(workers=len(os.sched_getaffinity(0))),
        progress=lambda done, count: None,
    )
    thumbs = len(photos) * THUMB * THUMB * 2
    print(int(photos.memory_usage(deep=True).sum()) + thumbs)


def memory(pid: int) -> int:
    """Sum the memory of a process and its children, in bytes; what they share counts once."""
    total = 0
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            total += one.memory_full_info().pss
    except psutil.NoSuchProcess:
        pass
    return total


def peak(raw: Path, out: Path) -> tuple[int, int, float]:
    """Give the peak memory and the tables' size of a scan in a process of its own, and its seconds."""
    started = time.perf_counter()
    out.mkdir()
    command = [sys.executable, __file__, str(raw), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        highest = 0
        done = threading.Event()

        def watch() -> None:
            nonlocal highest
            while not done.wait(PERIOD):
                highest = max(highest, memory(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        printed, _ = process.communicate()
        done.set()
        watcher.join()
    if process.returncode:
        sys.exit(f"the scan of {raw} failed")
    return highest, int(printed), time.perf_counter() - started


def main() -> None:
    """Run both parts, or the scan that the second part starts."""
    if len(sys.argv) == 3:
        scan(Path(sys.argv[1]), Path(sys.argv[2]))
        return
    search()
    left = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for count in COUNTS:
            raw = Path(folder) / f"raw{count}"
            write_photos(raw, count)
            highest, tables, seconds = peak(raw, Path(folder) / f"out{count}")
            left.append(highest - tables)
            print(
                f"scan of {count} photos: {seconds:.1f} s, peak {highest >> 20} MiB, {tables >> 20} of tables"
            )
    print(f"without the tables {left[1] / left[0]:.2f} times the memory (at most 1.2)")


if __name__ == "__main__":
    main()
