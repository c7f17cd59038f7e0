"""A real Chromium with a fake camera that shows a film of photos."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, BrowserContext, Playwright, Route

from handlens.app import serving

Squares = Sequence[NDArray[np.uint8]]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}
SCENE_CHANGE = 24  # of web/smoothing.js
BITS = 8  # of the number beside the picture that says which photo it is


def executable() -> str:
    """Find Chromium; without one the tests cannot run, and say what to do."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "these tests drive Chromium: run 'tests/install-tools.sh' (Debian, Ubuntu) or install it"
    return found


def film(squares: Squares, path: Path, *, fps: int, repeat: int = 1) -> Path:
    """Write squares (S, S, 3) as a Y4M film whose middle square shows them, enlarged by a whole number.

    On the left of it the photo's number stands as `BITS` black or white fields, the highest on top.
    """
    size = squares[0].shape[0]
    side = size * (-(-400 // size) + (-(-400 // size)) % 2)
    width = side + side // 2 // 4 * 8
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{side} F{fps}:1 Ip A1:1 C420jpeg\n".encode())
        for number, square in enumerate(squares):
            frame = np.full((side, width, 3), 60, np.uint8)
            left = (width - side) // 2
            frame[:, left : left + side] = np.kron(square, np.ones((side // size, side // size, 1), np.uint8))
            for bit in range(BITS):
                rows = slice(bit * side // BITS, (bit + 1) * side // BITS)
                frame[rows, :left] = 235 if number >> (BITS - 1 - bit) & 1 else 16
            file.write((b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes()) * repeat)
    return path


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a bundle on a free port; give its address."""
    with serving.server(folder, 0) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


class Watched:
    """A page with a record of what it asks the network for and what it complains about."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context, self.address = context, address
        self.page = page = context.new_page()
        self.foreign: list[str] = []
        self.complaints: list[str] = []
        context.on("request", lambda request: self.note(request.url))
        page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def note(self, url: str) -> None:
        """Remember addresses elsewhere."""
        if not url.startswith((self.address, "blob:" + self.address, "data:")):
            self.foreign.append(url)

    def text(self, selector: str) -> str:
        """Give the text of an element."""
        return self.page.locator(selector).text_content() or ""

    def wait(self, what: Callable[[], Any], *, seconds: float = 30) -> Any:
        """Wait until `what()` is truthy (the policy of the page forbids playwright's own way)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := what():
                return found
            self.page.wait_for_timeout(50)
        notice = self.text("#notice-text")
        raise AssertionError(f"waited {seconds} s; {self.state}: {notice}; {self.complaints}")

    @property
    def state(self) -> str:
        """Give the page's state: loading, live, still or problem."""
        return self.page.locator("body").get_attribute("data-state") or ""

    def wait_state(self, state: str) -> None:
        """Wait for a state."""
        self.wait(lambda: self.state == state)

    def wait_verified(self) -> None:
        """Wait until the self-test has passed."""
        self.wait(lambda: self.page.locator("#badge").get_attribute("data-state") == "passed")


# Notes what the page says of each photo of a film: the number beside the picture is read from the very frame
# that the page sends to its worker, the label after the answer to that frame was shown. Frames that are so
# like the one before that the page averages the two are left out.
LISTEN = """
window.said = {};
const post = Worker.prototype.postMessage;
const waiting = new Map();
Worker.prototype.postMessage = function (message, ...rest) {
  if (message.type === "frame") {
    const canvas = new OffscreenCanvas(message.frame.displayWidth, message.frame.displayHeight);
    const context = canvas.getContext("2d");
    context.drawImage(message.frame, 0, 0);
    let number = 0;
    for (let bit = 0; bit < BITS; bit++) {
      const [value] = context.getImageData(8, Math.floor((bit + 0.5) * canvas.height / BITS), 1, 1).data;
      number = 2 * number + (value > 128);
    }
    waiting.set(message.id, number);
    this.listens ??= this.addEventListener("message", ({ data }) => {
      if (!waiting.has(data.id)) return;
      if (data.value.change < SCENE_CHANGE) return;
      const number = waiting.get(data.id);
      setTimeout(() => (window.said[number] = document.getElementById("label").textContent));
    }) ?? true;
  }
  return post.call(this, message, ...rest);
};
""".replace("BITS", str(BITS)).replace("SCENE_CHANGE", str(SCENE_CHANGE))


# Keeps the milliseconds of every answer of the worker to a frame.
COUNT = """
window.answers = [];
const send = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...rest) {
  if (!this.counted) {
    this.counted = true;
    this.addEventListener("message", ({ data }) => {
      if (data.value?.change !== undefined) window.answers.push(data.value.milliseconds);
    });
  }
  return send.call(this, message, ...rest);
};
"""


@contextmanager
def browser(
    playwright: Playwright, *, camera: Path | None = None, allow: bool = True, flags: Sequence[str] = ()
) -> Iterator[Browser]:
    """Start Chromium; `camera` is the film that its camera shows, None: no camera."""
    films = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera}"]
    asked = ["--use-fake-ui-for-media-stream"] if allow else ["--deny-permission-prompts"]
    started = playwright.chromium.launch(
        executable_path=executable(), args=[*FLAGS, *(films if camera else []), *asked, *flags]
    )
    try:
        yield started
    finally:
        started.close()


@contextmanager
def opened(
    browser: Browser,
    address: str,
    *,
    viewport: dict[str, int] = PHONE,
    language: str = "en-US",
    script: str = "",
    path: str = "",
    route: tuple[str, Callable[[Route], None]] | None = None,
    complaints: Sequence[str] = (),
    **options: Any,
) -> Iterator[Watched]:
    """Open a bundle's page in an empty profile.

    In the end nothing may have been asked of another host, and the console may hold no error but those with
    one of `complaints` in them.
    """
    context = browser.new_context(viewport=viewport, locale=language, **options)
    watched = Watched(context, address)
    if script:
        watched.page.add_init_script(script)
    if route:
        context.route(*route)
    watched.page.goto(address + path)
    yield watched
    assert watched.foreign == []
    unexpected = [text for text in watched.complaints if not any(word in text for word in complaints)]
    assert unexpected == []
    context.close()
