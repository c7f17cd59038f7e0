"""Serve a bundle on this machine with the headers that a phone's browser wants.

Browsers give the camera to pages on https or localhost only; a phone reaches this server through USB port
forwarding (`adb reverse tcp:8000 tcp:8000`).
"""

import hashlib
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO

from handlens.app.bundle import SETTINGS
from handlens.errors import UserError

HEADERS = {
    # The page may load nothing from elsewhere and send nothing anywhere; index.html says the same.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; "
        "font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",  # this one and the next allow threads
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",  # asked for again every time, answered "not modified"
}
TYPES = {
    ".mjs": "text/javascript",
    ".js": "text/javascript",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
    ".bin": "application/octet-stream",
    ".webmanifest": "application/manifest+json",
    ".woff": "font/woff",
    ".json": "application/json",
}


class Handler(SimpleHTTPRequestHandler):
    """Files with our headers and their SHA-256 as ETag; no directory listings, no log."""

    protocol_version = "HTTP/1.1"
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **TYPES}  # noqa: RUF012

    def send_head(self) -> BinaryIO | None:
        """Answer "not modified" where the browser has the same bytes."""
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path = path / "index.html"
        if not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        with path.open("rb") as file:
            etag = f'"{hashlib.file_digest(file, "sha256").hexdigest()}"'
        known = self.headers.get("If-None-Match") == etag
        self.send_response(HTTPStatus.NOT_MODIFIED if known else HTTPStatus.OK)
        self.send_header("ETag", etag)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Length", "0" if known else str(path.stat().st_size))
        self.end_headers()
        return None if known else path.open("rb")

    def end_headers(self) -> None:
        """Add our headers to every answer."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Make a server of a bundle on localhost; port 0 takes a free one.

    Raises `UserError` when the folder holds no bundle or the port is taken.
    """
    if not (folder / SETTINGS).is_file():
        raise UserError(f"{folder} holds no app. Run 'dvc repro app' to make it, or 'dvc pull app'.")
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, directory=str(folder)))
    except OSError as error:
        raise UserError(f"port {port} cannot be used ({error.strerror}). Choose another: --port") from None


def run(server: ThreadingHTTPServer) -> None:
    """Answer until the user stops it."""
    with suppress(KeyboardInterrupt):
        server.serve_forever()
