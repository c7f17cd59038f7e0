"""Which format a kind of file has, what it is called, and which extra of this package it needs."""

from importlib.util import find_spec

from handlens.errors import UserError

SUFFIXES = {"onnx": ".onnx", "litert": ".tflite", "executorch": ".pte"}
PACKAGES = {
    "onnx": (),
    "litert": ("litert_torch", "ai_edge_litert", "ai_edge_quantizer"),
    "executorch": ("executorch", "torchao"),
}


def format_of(kind: str) -> str:
    """Name the format of a kind: `litert_fp16` is of `litert`; a kind without a prefix is of `onnx`."""
    prefix = kind.partition("_")[0]
    return prefix if prefix in SUFFIXES else "onnx"


def file_name(kind: str) -> str:
    """Name the file of a kind, such as `litert_fp16.tflite`."""
    return kind + SUFFIXES[format_of(kind)]


def require(name: str, what: str) -> None:
    """Refuse `what` with a `UserError` unless the packages of the format `name` are installed."""
    missing = [package for package in PACKAGES[name] if find_spec(package) is None]
    if missing:
        raise UserError(
            f"{what} needs the extra {name!r}, which is not installed (missing: {', '.join(missing)}). Run "
            f"\"pip install '.[{name}]'\" in the environment of handlens, or do without this kind of file."
        )
