"""Replay on a finished bundle what the page checks on a device, and what its safety rests on."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from handlens.app.bundle import LISTING, SETTINGS
from handlens.contract import Contract
from handlens.errors import UserError
from handlens.export import golden, runtime

OWN_TEXT = (".html", ".css", ".js", ".webmanifest")
FOREIGN = re.compile(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", re.IGNORECASE)
HARMLESS = "//www.w3.org/"  # the name of SVG


def check(folder: Path) -> Iterator[str]:
    """Check a bundle and say, line by line, what was found right.

    Raises `UserError` at the first thing that is wrong.
    """
    settings = read_settings(folder)
    yield check_files(folder)
    contract = Contract.load(folder / "contract.json")
    yield from check_models(folder, settings, contract)
    yield check_own_origin(folder)


def read_settings(folder: Path) -> dict[str, Any]:
    """Read `app.json`."""
    try:
        settings: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{folder} holds no app. Run 'dvc repro app' to make it, or 'dvc pull app'."
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{folder / SETTINGS} is damaged ({error}). Run 'dvc repro app' again.") from None
    return settings


def check_files(folder: Path) -> str:
    """Compare every file with the SHA-256 that `listing.js` gives it; a missing or strange one is wrong."""
    text = (folder / LISTING).read_text(encoding="utf-8")
    listed = json.loads(text.removeprefix("self.LISTING = ").rstrip().removesuffix(";"))["files"]
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    wanted = {*listed, LISTING, "sw.js"}
    for path in sorted(found ^ wanted):
        state = "missing" if path in wanted else "not part of the app"
        raise UserError(f"{folder / path} is {state}. Make the folder again with 'dvc repro app'.")
    for path, digest in listed.items():
        if hashlib.sha256((folder / path).read_bytes()).hexdigest() != digest:
            raise UserError(f"{folder / path} was changed after it was made. Run 'dvc repro app' again.")
    return f"{len(wanted)} files, each with its SHA-256"


def check_models(folder: Path, settings: dict[str, Any], contract: Contract) -> Iterator[str]:
    """Run the golden vectors through every model file."""
    vectors = golden.read(folder)
    for file in settings["files"]:
        kind, path = file["kind"], folder / file["path"]
        exported = runtime.open_file(path)
        exported.metadata.contract.require_same(contract, str(path), str(folder / "contract.json"))
        worst = float(np.abs(exported.predict(vectors.pixels) - vectors.probabilities[kind]).max())
        if worst > golden.TOLERANCE[kind]:
            raise UserError(
                f"{path} gives other answers here than where it was made: a probability differs by "
                f"{worst:.2g}, more than {golden.TOLERANCE[kind]:g}. Run 'dvc repro app' again."
            )
        yield f"{kind}: {len(vectors.labels)} golden vectors, largest difference {worst:.2g}"


def check_own_origin(folder: Path) -> str:
    """Look for addresses elsewhere in the page's own files."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in OWN_TEXT:
            for address in FOREIGN.findall(path.read_text(encoding="utf-8").replace(HARMLESS, "")):
                raise UserError(f"{path} names another host, {address}. Remove it: the app is private.")
    return "no address of another host in the page"
