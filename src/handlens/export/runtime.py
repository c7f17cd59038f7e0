"""An exported file, loaded by onnxruntime. Imports neither torch nor anything of the training side."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as states

from handlens.errors import UserError
from handlens.export.metadata import Metadata
from handlens.pixels import Pixels

UNREADABLE = (
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.NotImplemented,
)


@dataclass(frozen=True)
class Exported:
    """A loaded file: `predict` and what the file says about itself."""

    session: onnxruntime.InferenceSession
    metadata: Metadata

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities."""
        return self.metadata.contract.classes

    def predict(self, pixels: Pixels) -> NDArray[np.float32]:
        """Turn RGB squares (N, store, store, 3) into probabilities (N, classes)."""
        (probabilities,) = self.session.run(None, {"pixels": pixels})
        return np.asarray(probabilities, np.float32)


def load(content: bytes, source: str, *, threads: int = 0) -> Exported:
    """Load the bytes of an exported file; 0 threads means one per core.

    Raises `UserError`, naming `source`, when the bytes are not an ONNX file of handlens.
    """
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
    props = session.get_modelmeta().custom_metadata_map
    return Exported(session, Metadata.from_props(props, source))


def open_file(path: Path, *, threads: int = 0) -> Exported:
    """Load an exported file; a missing one is a `UserError`."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing. 'dvc repro export' makes the exported files, models/<name>/export/*.onnx; "
            "'dvc pull' fetches them."
        ) from None
    return load(content, str(path), threads=threads)
