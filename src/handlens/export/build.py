"""From a trained model to its files: make each kind, compare it with the model, keep what agrees."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from handlens import metrics
from handlens.checkpoint import Card
from handlens.contract import Contract
from handlens.export import (
    disagreement,
    executorch,
    formats,
    golden,
    latency,
    litert,
    parity,
    runtime,
    trailer,
)
from handlens.export.golden import Golden
from handlens.export.latency import Latency
from handlens.export.metadata import Metadata
from handlens.export.onnx import convert, to_bytes
from handlens.export.packing import fp16, int8_weights
from handlens.export.parity import Limits, Parity, Probabilities
from handlens.export.quantization import int8
from handlens.export.reference import (
    Reference,
    eager,
    in_turn,
    one_thread,
    predict,
    reference,
    training_pixels,
)
from handlens.figures import Guess
from handlens.pixels import Pixels, PixelStore
from handlens.preprocessing import Classifier

BATCH = 64
ROUNDS, WARMUP = 40, 10
COMPUTED_IN_8_BITS = ("int8", "executorch_int8")

Graph = Any  # of a format: an ONNX model, the bytes of a .tflite file, a PyTorch module

CONVERT: dict[str, Callable[[Classifier, int], Graph]] = {  # from a classifier and the side of its squares
    "onnx": convert,
    "litert": litert.convert,
    "executorch": executorch.convert,
}
KINDS: dict[str, Callable[[Graph, Pixels], Graph]] = {  # from the float32 graph of the kind's format
    "fp32": lambda graph, calibration: graph,
    "fp16": fp16,
    "int8_weights": int8_weights,
    "int8": int8,
    "litert_fp32": lambda graph, calibration: graph,
    "litert_fp16": litert.fp16,
    "litert_int8_weights": litert.int8_weights,
    "executorch_fp32": executorch.fp32,
    "executorch_int8": executorch.int8,
}
SEAL: dict[str, Callable[[Graph, Metadata], bytes]] = {
    "onnx": to_bytes,
    "litert": trailer.attach,
    "executorch": trailer.attach,
}


@dataclass(frozen=True)
class FineTune:
    """How to train the model further for 8-bit arithmetic: `train` gives the network."""

    epochs: int
    train: Callable[[], nn.Module]


@dataclass(frozen=True, kw_only=True)
class File:
    """A made file, what it was found to be, and why it may not ship (empty: it may)."""

    kind: str
    content: bytes
    probabilities: Probabilities  # of all test photos
    parity: Parity
    fine_tuned: int  # epochs in simulated 8 bits
    different: tuple[Guess, ...]  # photos where the trained model says something else
    misses: tuple[str, ...]


def describe(card: Card, weights: Path) -> Metadata:
    """Say where the files come from; `kind` is filled in per file."""
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Metadata(
        contract=card.contract,
        model=card.model,
        arch=card.arch,
        kind="",
        scores={"val_accuracy": card.val_accuracy, "val_macro_f1": card.val_macro_f1},
        weights=digest,
        commit=card.commit or "",
    )


def make(
    classifier: Classifier, metadata: Metadata, kinds: Iterable[str], calibration: Pixels
) -> dict[str, bytes]:
    """Make the file of each kind; those of one format come from one conversion.

    Raises `UserError` when the extra of a kind is missing.
    """
    graphs: dict[str, Graph] = {}
    made = {}
    for kind in kinds:
        name = formats.format_of(kind)
        if name not in graphs:
            graphs[name] = CONVERT[name](classifier, metadata.contract.store_size)
        made[kind] = SEAL[name](KINDS[kind](graphs[name], calibration), replace(metadata, kind=kind))
    return made


def remake(
    classifier: Classifier,
    metadata: Metadata,
    made: Mapping[str, bytes],
    calibration: Pixels,
    fine_tune: FineTune,
    judge: Callable[[str, bytes], File],
) -> dict[str, bytes]:
    """Make those files again that compute in 8 bits and miss their limits, from a fine-tuned model.

    `judge` looks at validation photos. Gives the new files that are right there at least as often as before.
    """
    before = {kind: judge(kind, made[kind]) for kind in made if kind in COMPUTED_IN_8_BITS}
    missed = [kind for kind, file in before.items() if file.misses]
    if not missed:
        return {}
    tuned = Classifier(fine_tune.train(), metadata.contract).eval()
    again = make(tuned, replace(metadata, fine_tuned=fine_tune.epochs), missed, calibration)
    after = {kind: judge(kind, content) for kind, content in again.items()}
    return {
        kind: again[kind] for kind in missed if after[kind].parity.accuracy >= before[kind].parity.accuracy
    }


def check(
    kind: str, content: bytes, contract: Contract, test: Reference, store: PixelStore, limits: Limits
) -> File:
    """Load a file as a phone would and compare it with the trained model on every photo of `test`."""
    exported = runtime.load(content, kind, threads=1)
    given = predict(exported.predict, store, test.slots)
    probabilities = parity.by_name(given, exported.classes, contract.classes)
    found = parity.compare(test.trained, probabilities, test.labels)
    wrong = parity.contract_misses(exported.metadata.contract, contract)
    return File(
        kind=kind,
        content=content,
        probabilities=probabilities,
        parity=found,
        fine_tuned=exported.metadata.fine_tuned,
        different=tuple(disagreement.find(probabilities, test, store, contract.classes)),
        misses=(*wrong, *parity.misses(found, limits)),
    )


def time_files(files: Sequence[File], classifier: Classifier, pixels: Pixels) -> dict[str, Latency]:
    """Time one photo (1, store, store, 3) on one thread, by every file and by PyTorch ("eager")."""
    calls: dict[str, Callable[[], object]] = {"eager": partial(eager(classifier), pixels)}
    for file in files:
        exported = runtime.load(file.content, file.kind, threads=1)
        calls[file.kind] = partial(exported.predict, pixels)
    with one_thread():
        return latency.measure(calls, rounds=ROUNDS, warmup=WARMUP)


def golden_vectors(
    test: Reference, files: Sequence[File], classes: Sequence[str], store: PixelStore, count: int
) -> Golden:
    """Take `count` test photos, the classes in turn, with what the model and its files say of them."""
    chosen = in_turn(test.photos["label"], count)
    photos = test.photos.iloc[chosen]
    shipped = {file.kind: file.probabilities[chosen] for file in files if not file.misses}
    return Golden(
        paths=tuple(photos["path"]),
        labels=tuple(photos["label"]),
        classes=tuple(classes),
        pixels=store.take(test.slots[chosen]),
        probabilities={"trained": test.trained[chosen], **shipped},
    )


@dataclass(frozen=True, kw_only=True)
class Exports:
    """All files of one model, the golden vectors beside them, one photo's time per kind and "eager"."""

    files: tuple[File, ...]
    vectors: Golden
    times: Mapping[str, Latency]


def export(
    classifier: Classifier,
    metadata: Metadata,
    rows: pd.DataFrame,
    store: PixelStore,
    *,
    limits: Mapping[str, Limits],
    calibration: int,
    vectors: int,
    fine_tune: FineTune | None = None,
) -> Exports:
    """Make a file of each kind in `limits` and judge it on the test photos of `rows`.

    `calibration` training photos give int8 its ranges; `vectors` test photos become golden vectors. Where
    int8 misses its limits on the validation photos, `fine_tune` gives a network that bears it better.
    """
    classes = metadata.contract.classes
    pixels = training_pixels(rows, store, calibration)
    made = make(classifier, metadata, limits, pixels)
    if fine_tune is not None and any(kind in COMPUTED_IN_8_BITS for kind in made):
        val = reference(classifier, classes, rows, store, "val")
        made |= remake(
            classifier,
            metadata,
            made,
            pixels,
            fine_tune,
            lambda kind, content: check(kind, content, metadata.contract, val, store, limits[kind]),
        )
    test = reference(classifier, classes, rows, store)
    files = tuple(
        check(kind, content, metadata.contract, test, store, limits[kind]) for kind, content in made.items()
    )
    return Exports(
        files=files,
        vectors=golden_vectors(test, files, classes, store, vectors),
        times=time_files(files, classifier, store.take(test.slots[:1])),
    )


def summary(exports: Exports) -> dict[str, metrics.Value]:
    """Give the flat metrics of all files; `passed` only when every one may ship."""
    files, eager_ms = exports.files, exports.times["eager"].median
    values: dict[str, metrics.Value] = {
        "passed": not any(file.misses for file in files),
        "reasons": "; ".join(f"{file.kind}: {miss}" for file in files for miss in file.misses),
        "photos": files[0].parity.photos,
        "accuracy_trained": files[0].parity.accuracy_trained,
        "eager_ms": eager_ms,
    }
    for file in files:
        time = exports.times[file.kind]
        values |= {
            f"{file.kind}_passed": not file.misses,
            f"{file.kind}_fine_tuned": file.fine_tuned,
            f"{file.kind}_agreement": file.parity.agreement,
            f"{file.kind}_max_difference": file.parity.max_difference,
            f"{file.kind}_mean_difference": file.parity.mean_difference,
            f"{file.kind}_accuracy": file.parity.accuracy,
            f"{file.kind}_accuracy_low": file.parity.accuracy_low,
            f"{file.kind}_accuracy_high": file.parity.accuracy_high,
            f"{file.kind}_calibration_change": file.parity.calibration_change,
            f"{file.kind}_megabytes": len(file.content) / 1e6,
            f"{file.kind}_ms": time.median,
            f"{file.kind}_p95_ms": time.p95,
            f"{file.kind}_latency_ratio": time.median / eager_ms,
        }
    return values


def write(exports: Exports, folder: Path) -> None:
    """Write the files that may ship, named after their kinds, and the golden vectors; remove the others.

    Where a file and the trained model differ on some photos, a contact sheet shows them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in exports.files:
        path = folder / formats.file_name(file.kind)
        if file.misses:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(file.content)
        if file.different:
            sheet = folder / f"{file.kind}_differs.png"
            disagreement.draw(file.different, file.kind, file.parity.photos, sheet)
    golden.write(exports.vectors, folder)
