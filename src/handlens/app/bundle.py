"""Make the app: the page, its runtime, the winner's files, golden vectors and the texts that describe them.

A bundle is a mapping from paths to bytes, written as one folder that any static host can serve. `app.json`
holds what the page must know, `listing.js` the SHA-256 of every file for the service worker.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from handlens.app import glyphs, packages, threshold
from handlens.contract import Contract
from handlens.errors import UserError
from handlens.export import golden, runtime
from handlens.metrics import Value

SETTINGS, LISTING, MANIFEST, FONT = "app.json", "listing.js", "manifest.webmanifest", "han.woff"
PAGE = ("*.html", "*.css", "*.js", "icons/*")
GPU_ONLY = "jspi"  # in the names of runtime files that only WebGPU needs
GOLDEN_BYTES = 1_000_000  # of golden photos at most

Bundle = dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The winner's name, exported files, and what was measured of it."""

    model: str
    exports: Path
    card: Mapping[str, Any]  # models/M/model.json
    scores: Mapping[str, Any]  # metrics/compare.json
    parity: Mapping[str, Any]  # metrics/export/M.json
    predictions: pd.DataFrame  # data/predictions/M.csv


@dataclass(frozen=True, kw_only=True)
class File:
    """An exported file inside the bundle."""

    kind: str
    path: str
    content: bytes


def build(
    web: Path,
    winner: Winner,
    contract: Contract,
    *,
    title: str,
    precision: float,
    kinds: Sequence[str] | None,
    webgpu: bool,
) -> tuple[Bundle, dict[str, Value]]:
    """Make the bundle around the winner's files of `kinds` (None: all), and the metrics of it."""
    files = exported(winner, contract, kinds)
    preferred = smallest_exact(files, winner.parity)
    sure = threshold.of_predictions(winner.predictions, precision=precision)
    bundle = page(web) | packages.runtime(web, webgpu=webgpu) | {file.path: file.content for file in files}
    bundle |= golden_files(winner.exports, contract.store_size)
    bundle[FONT] = glyphs.font_with([title, *contract.classes, bundle["texts.js"].decode()])
    bundle[MANIFEST] = as_json(manifest(title))
    settings = {
        "title": title,
        "classes": contract.classes,
        "store_size": contract.store_size,
        "fit": contract.fit,
        "transparency": contract.transparency,
        "threshold": sure.value,
        "precision": sure.precision,
        "webgpu": webgpu,
        "preferred": preferred,
        "files": [describe(file, winner.parity) | entry(bundle, file.path) for file in files],
        "golden": [entry(bundle, path) for path in (golden.JSON, golden.BIN)],
        "card": card_of(winner),
    }
    bundle[SETTINGS] = as_json(settings)
    bundle["contract.json"] = as_json(contract.model_dump())
    bundle["model.json"] = as_json(dict(winner.card))
    bundle[LISTING] = listing(bundle, skip=[file.path for file in files if file.kind != preferred])
    return bundle, {"preferred": preferred, **sizes(bundle), **sure_metrics(sure)}


def require_exported(model: str, listed: Sequence[str]) -> None:
    """Refuse to go on when the winner is not among the models that are exported."""
    if model not in listed:
        raise UserError(
            f"the winner is {model}, but export.models in params.yaml lists {list(listed)}. "
            f"Add {model} to export.models and run 'dvc repro' again; or set compare.limits so that an "
            "exported model wins."
        )


def exported(winner: Winner, contract: Contract, kinds: Sequence[str] | None) -> list[File]:
    """Read the winner's exported files of `kinds` (None: all), largest first; each must hold our contract."""
    paths = sorted(winner.exports.glob("*.onnx"))
    if not paths:
        raise UserError(
            f"{winner.exports} holds no ONNX files. If 'dvc repro export@{winner.model}' has run, no file "
            f"agreed with the trained model: see 'reasons' in metrics/export/{winner.model}.json."
        )
    if kinds is not None:
        made = [path.stem for path in paths]
        paths = [path for path in paths if path.stem in kinds]
        if not paths:
            raise UserError(
                f"app.files lists {list(kinds)}, but of {winner.model} only {made} passed their checks. "
                f"List one of these in app.files, or see 'reasons' in metrics/export/{winner.model}.json."
            )
    files = []
    for path in paths:
        content = path.read_bytes()
        runtime.load(content, str(path)).metadata.contract.require_same(
            contract, str(path), "data/contract.json"
        )
        files.append(File(kind=path.stem, path=f"models/{path.name}", content=content))
    return sorted(files, key=lambda file: (-len(file.content), file.kind))


def smallest_exact(files: list[File], parity: Mapping[str, Any]) -> str:
    """Choose what the page loads first: the smallest file with the trained model's answer to every photo."""
    exact = [file for file in files if parity[f"{file.kind}_agreement"] == 1.0]
    return exact[-1].kind if exact else files[0].kind


def describe(file: File, parity: Mapping[str, Any]) -> dict[str, Any]:
    """Say what the page tells of a model file: its share of photos with the trained model's answer."""
    return {"kind": file.kind, "bytes": len(file.content), "agreement": parity[f"{file.kind}_agreement"]}


def page(web: Path) -> Bundle:
    """Read the page's own files."""
    paths = sorted(path for pattern in PAGE for path in web.glob(pattern))
    return {path.relative_to(web).as_posix(): path.read_bytes() for path in paths}


def golden_files(exports: Path, size: int) -> Bundle:
    """Take the first golden vectors, the classes in turn, as many as keep the page small."""
    vectors = golden.read(exports)
    turn = pd.Series(vectors.labels).groupby(list(vectors.labels)).cumcount().to_numpy()
    most = max(1, GOLDEN_BYTES // (size * size * 3))
    chosen = np.sort(np.lexsort((np.array(vectors.labels), turn))[:most])
    few = replace(
        vectors,
        paths=tuple(vectors.paths[i] for i in chosen),
        labels=tuple(vectors.labels[i] for i in chosen),
        pixels=vectors.pixels[chosen],
        probabilities={name: values[chosen] for name, values in vectors.probabilities.items()},
    )
    return golden.to_files(few)


def card_of(winner: Winner) -> dict[str, Any]:
    """Choose what the page tells about the model."""
    card, scores = winner.card, winner.scores
    return {
        "model": winner.model,
        "arch": card["arch"],
        "parameters": card["parameters"],
        "accuracy": scores["accuracy"],
        "accuracy_low": scores["accuracy_low"],
        "accuracy_high": scores["accuracy_high"],
        "photos": winner.parity["photos"],
        "commit": card["commit"] or "",
    }


def manifest(title: str) -> dict[str, Any]:
    """Describe the page as an installable app."""
    icons = [
        {"src": f"icons/icon-{size}.png", "sizes": f"{size}x{size}", "type": "image/png", "purpose": "any"}
        for size in (144, 192, 512)
    ]
    mask = {"src": "icons/mask-512.png", "sizes": "512x512", "type": "image/png", "purpose": "maskable"}
    return {
        "name": title,
        "short_name": title,
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": "#0e1413",
        "theme_color": "#0b6e64",
        "icons": [*icons, mask],
    }


def entry(bundle: Bundle, path: str) -> dict[str, str]:
    """Name a file with its SHA-256."""
    return {"path": path, "sha256": hashlib.sha256(bundle[path]).hexdigest()}


def listing(bundle: Bundle, *, skip: list[str]) -> bytes:
    """List all files for the service worker, and those to keep from the first visit on."""
    files = {path: entry(bundle, path)["sha256"] for path in sorted(bundle) if path != "sw.js"}
    core = [path for path in files if path not in skip and GPU_ONLY not in path]
    return b"self.LISTING = " + as_json({"files": files, "core": core}).rstrip() + b";\n"


def sizes(bundle: Bundle) -> dict[str, Value]:
    """Measure the folder, plain and compressed as hosts do (gzip), in megabytes."""
    compressed = sum(len(zlib.compress(content, 6)) for content in bundle.values())
    plain = sum(len(content) for content in bundle.values())
    return {"megabytes": round(plain / 1e6, 3), "megabytes_gzip": round(compressed / 1e6, 3)}


def sure_metrics(sure: threshold.Threshold) -> dict[str, Value]:
    """Name the threshold's numbers."""
    return {"threshold": sure.value, "sure_precision": sure.precision, "sure_share": sure.share}


def as_json(value: Any) -> bytes:
    """Write JSON in UTF-8."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def write(bundle: Bundle, folder: Path) -> None:
    """Write a bundle into the empty or new folder `folder`."""
    for path, content in bundle.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
