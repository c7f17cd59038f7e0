"""Golden vectors: test photos as the bytes that enter a model and the probabilities that must come out.

Two files that any language reads. `golden.bin` holds raw arrays, `golden.json` says where they are (`dtype`,
`shape`, `offset` in bytes; little-endian, last index fastest) and names the photos. The arrays are `pixels`,
the trained model's probabilities `trained`, and what every file of the folder gives, under its kind. A
runtime, a page or a phone that feeds `pixels` to a file must get that file's array to `TOLERANCE`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlens.errors import UserError
from handlens.pixels import Pixels

JSON, BIN = "golden.json", "golden.bin"
TOLERANCE = {
    **dict.fromkeys(
        ["fp32", "fp16", "int8_weights", "litert_fp32", "litert_fp16", "litert_int8_weights"], 1e-4
    ),
    "executorch_fp32": 1e-4,
    **dict.fromkeys(["int8", "executorch_int8"], 0.05),
}


@dataclass(frozen=True, kw_only=True)
class Golden:
    """N photos: `pixels` (N, store, store, 3) and `probabilities` (N, classes), "trained" and per kind."""

    paths: tuple[str, ...]  # relative to the raw folder
    labels: tuple[str, ...]
    classes: tuple[str, ...]  # names of the probabilities
    pixels: Pixels
    probabilities: Mapping[str, NDArray[np.float32]]


def write(golden: Golden, folder: Path) -> None:
    """Write both files."""
    for name, content in to_files(golden).items():
        (folder / name).write_bytes(content)


def to_files(golden: Golden) -> dict[str, bytes]:
    """Give the content of both files by name, the same bytes for the same vectors."""
    arrays: dict[str, Any] = {}
    content = b""
    held: dict[str, NDArray[Any]] = {"pixels": golden.pixels, **golden.probabilities}
    for name, array in held.items():
        plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        arrays[name] = {"dtype": array.dtype.name, "shape": array.shape, "offset": len(content)}
        content += plain.tobytes()
    photos = [
        {"path": path, "label": label, "predicted": golden.classes[int(top)]}
        for path, label, top in zip(
            golden.paths, golden.labels, golden.probabilities["trained"].argmax(axis=1), strict=True
        )
    ]
    description = {
        "classes": golden.classes,
        "tolerance": {kind: TOLERANCE[kind] for kind in golden.probabilities if kind != "trained"},
        "arrays": arrays,
        "photos": photos,
    }
    text = json.dumps(description, indent=1, ensure_ascii=False)
    return {BIN: content, JSON: (text + "\n").encode()}


def read(folder: Path) -> Golden:
    """Read both files; a missing one is a `UserError`."""
    for name in (JSON, BIN):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing. 'dvc repro export' makes it.")
    description = json.loads((folder / JSON).read_text(encoding="utf-8"))
    content = (folder / BIN).read_bytes()
    arrays = {name: array_of(content, entry) for name, entry in description["arrays"].items()}
    return Golden(
        paths=tuple(photo["path"] for photo in description["photos"]),
        labels=tuple(photo["label"] for photo in description["photos"]),
        classes=tuple(description["classes"]),
        pixels=arrays.pop("pixels"),
        probabilities=arrays,
    )


def array_of(content: bytes, entry: dict[str, Any]) -> NDArray[Any]:
    """Cut one array out of the raw bytes."""
    dtype = np.dtype(entry["dtype"]).newbyteorder("<")
    count = int(np.prod(entry["shape"]))
    array = np.frombuffer(content, dtype, count, entry["offset"])
    return array.reshape(entry["shape"]).astype(entry["dtype"])
