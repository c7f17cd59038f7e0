"""What passes between the layers of an ONNX graph on given photos."""

from collections.abc import Collection, Iterator

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from handlens.pixels import Pixels

BATCH = 16


def activations(
    model: onnx.ModelProto, names: Collection[str], photos: Pixels
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """Yield, batch by batch, the tensors `names` that photos (N, store, store, 3) bring about."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    wanted = sorted(names)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    for start in range(0, len(photos), BATCH):
        batch = photos[start : start + BATCH]
        yield dict(zip(wanted, session.run(wanted, {"pixels": batch}), strict=True))
