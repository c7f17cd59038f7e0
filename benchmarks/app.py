"""How fast is the phone app here? Frames per second and milliseconds of its page in headless Chromium.

    python benchmarks/app.py [ARCH ...]

For each architecture (default: squeezenet1_1, shufflenet_v2, mobilenet_v2) an untrained network for 224 px
and ten classes is exported, bundled and shown a film of 30 frames per second. Prints the time from opening
the page in a fresh profile to the first label, frames per second and milliseconds per frame over ten seconds,
the longest block of the main thread, and the size of the bundle.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "app"))
import browser
import phone

ARCHS = ("squeezenet1_1", "shufflenet_v2", "mobilenet_v2")
KINDS = ("fp32", "fp16", "int8_weights")  # all that params.yaml makes
SIZE, SECONDS = 224, 10
WATCH = """
window.long = [0];
new PerformanceObserver((list) => window.long.push(...list.getEntries().map((entry) => entry.duration)))
  .observe({ type: "longtask", buffered: true });
"""


def measure(play: Any, folder: Path, film: Path) -> dict[str, float]:
    """Open the page of a bundle once and watch it for some seconds."""
    script = WATCH + browser.COUNT
    with browser.served(folder) as address, browser.browser(play, camera=film) as started:
        start = time.monotonic()
        with browser.opened(started, address, script=script) as page:
            page.wait(lambda: page.text("#percent").endswith("%"))
            first = time.monotonic() - start
            return {"first label s": first, **watch(page)}


def watch(page: browser.Watched) -> dict[str, float]:
    """Count answers for some seconds, after the self-test."""
    page.wait_verified()
    page.page.wait_for_timeout(1000)
    before = page.page.evaluate("window.answers.length")
    page.page.wait_for_timeout(SECONDS * 1000)
    times = page.page.evaluate("window.answers")[before:]
    blocked = page.page.evaluate("Math.max(...window.long)")
    return {
        "frames/s": len(times) / SECONDS,
        "ms": float(np.median(times)),
        "longest block ms": blocked,
    }


def main() -> None:
    """Measure the architectures in turn."""
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as folder, sync_playwright() as play:
        root = Path(folder)
        noise = [
            np.kron(rng.integers(0, 256, (28, 28, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
            for _ in range(30)
        ]
        film = browser.film(noise, root / "film.y4m", fps=30)
        for arch in sys.argv[1:] or ARCHS:
            made = phone.make_untrained(root / arch, arch, SIZE, kinds=KINDS)
            found = measure(play, made.folder, film)
            found["bundle MB gzip"] = made.numbers["megabytes_gzip"]
            print(arch, "  ".join(f"{name} {value:.2f}" for name, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
