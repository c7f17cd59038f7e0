"""The page's npm packages: onnxruntime-web, at the version that `web/package.json` pins."""

import json
import subprocess
from pathlib import Path

from handlens.errors import UserError

RUNTIME = "onnxruntime-web"
RUNTIME_FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)
WEBGPU_FILES = (  # the same for graphics processors, built on JavaScript Promise Integration
    "ort.jspi.min.mjs",
    "ort-wasm-simd-threaded.jspi.mjs",
    "ort-wasm-simd-threaded.jspi.wasm",
)
INSTALL = ["npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]


def install(web: Path) -> None:
    """Install the packages into `web/node_modules` unless they are there."""
    if installed(web):
        return
    try:
        result = subprocess.run(INSTALL, cwd=web, capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError(
            "npm is missing: the page needs onnxruntime-web from it. Install Node.js 18 or newer "
            "(Debian and Ubuntu: apt-get install nodejs npm), then run 'make app' again."
        ) from None
    if result.returncode != 0 or not installed(web):
        raise UserError(
            f"'{' '.join(INSTALL)}' in {web} failed: {last_line(result.stderr)}. "
            "Check the network and npm's registry, then run 'make app' again."
        )


def installed(web: Path) -> bool:
    """Tell whether the runtime is there at the pinned version."""
    pinned = json.loads((web / "package.json").read_text(encoding="utf-8"))["dependencies"][RUNTIME]
    found = web / "node_modules" / RUNTIME / "package.json"
    return found.is_file() and json.loads(found.read_text(encoding="utf-8"))["version"] == pinned


def runtime(web: Path, *, webgpu: bool) -> dict[str, bytes]:
    """Read the files of the runtime, by the paths that the page asks for."""
    folder = web / "node_modules" / RUNTIME
    names = RUNTIME_FILES + (WEBGPU_FILES if webgpu else ())
    return {f"ort/{name}": (folder / "dist" / name).read_bytes() for name in names}


def last_line(output: str) -> str:
    """Give the last line that says something."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
