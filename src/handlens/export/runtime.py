"""Load an exported file: ONNX by onnxruntime, others by their own runtimes.

For ONNX and LiteRT neither torch nor anything of the training side is imported.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as states

from handlens.errors import UserError
from handlens.export.exported import Exported
from handlens.export.metadata import Metadata
from handlens.pixels import Pixels

UNREADABLE = (
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.NotImplemented,
)


def load(content: bytes, source: str, *, threads: int = 0) -> Exported:
    """Load the bytes of an exported file of any format; 0 threads means one per core.

    Raises `UserError`, naming `source`, when the bytes are not a file of handlens, or when the extra of their
    format is missing.
    """
    magic = content[4:8]
    if magic == b"TFL3":
        from handlens.export import litert

        return litert.load(content, source, threads=threads)
    if magic == b"ET12":
        from handlens.export import executorch

        return executorch.load(content, source)
    return load_onnx(content, source, threads)


def load_onnx(content: bytes, source: str, threads: int) -> Exported:
    """Load the bytes of an ONNX file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except UNREADABLE as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{source} is not an ONNX file that onnxruntime {onnxruntime.__version__} can load "
            f"({reason}). Copy it again, or export the model again with 'dvc repro export'."
        ) from None
    metadata = Metadata.from_props(session.get_modelmeta().custom_metadata_map, source)

    def predict(pixels: Pixels) -> NDArray[np.float32]:
        (probabilities,) = session.run(None, {"pixels": pixels})
        return np.asarray(probabilities, np.float32)

    return Exported(predict, metadata)


def open_file(path: Path, *, threads: int = 0) -> Exported:
    """Load an exported file; a missing one is a `UserError`."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing. 'dvc repro export' makes the exported files, in models/<name>/export; "
            "'dvc pull' fetches them."
        ) from None
    return load(content, str(path), threads=threads)
