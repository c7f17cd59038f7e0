"""The trained classifier as one ONNX graph: uint8 RGB squares in, probabilities out.

The graph takes squares (N, store, store, 3) and gives (N, classes); resizing to the input size, normalisation
and softmax are inside, so whoever feeds raw bytes cannot get them wrong.
"""

import onnx
import torch

from handlens.export.metadata import Metadata
from handlens.preprocessing import Classifier

INPUT, OUTPUT = "pixels", "probabilities"


def convert(classifier: Classifier, store_size: int) -> onnx.ModelProto:
    """Trace a classifier in eval mode into an ONNX graph with a free batch dimension.

    The tracer's notes (stack traces, names of its own objects) are removed: the bytes then depend on the
    weights, the graph and the versions of the libraries only.
    """
    pixels = torch.zeros((2, store_size, store_size, 3), dtype=torch.uint8)
    program = torch.onnx.export(
        classifier.eval(),
        (pixels,),
        dynamo=True,
        external_data=False,
        verbose=False,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}},
    )
    assert program is not None  # only the old exporter, dynamo=False, gives None
    return without_notes(program.model_proto)


def without_notes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove what describes the tracing and not the function."""
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
    return model


def to_bytes(model: onnx.ModelProto, metadata: Metadata) -> bytes:
    """Serialise a model with `metadata` inside, the same bytes for the same model."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata.to_props())
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))
