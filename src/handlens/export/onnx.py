"""ONNX files: the trained classifier as one file, and smaller ways to store the same weights.

Every file takes uint8 RGB squares (N, store, store, 3) and gives probabilities (N, classes); resizing to the
input size, normalisation and softmax are inside the graph.

`fp16` and `int8_weights` shrink the file only: the weights are stored as 16 or 8 bit numbers followed by the
nodes that turn them back into float32. Every onnxruntime folds these nodes away when it loads the file
(constant folding), so the arithmetic, the speed and the result are those of float32 with rounded weights, on
every device, without any session option.
"""

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from handlens.export.metadata import Metadata
from handlens.preprocessing import Classifier

INPUT, OUTPUT = "pixels", "probabilities"
MIN_WEIGHTS = 64  # smaller tensors stay as they are

Array = NDArray[np.float32]


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


def fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store the weights as float16: half the file."""
    small = copy_of(model)
    for tensor in weights(small):
        name, values = tensor.name, numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        prepend(small, [to_float(f"{name}.half", name)])
    return small


def int8_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store the weights as int8 with one scale per output channel: a quarter of the file."""
    small = copy_of(model)
    for tensor in weights(small):
        name = tensor.name
        quantised, scale = quantise(numpy_helper.to_array(tensor))
        tensor.CopyFrom(numpy_helper.from_array(quantised, f"{name}.int8"))
        small.graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        scaled = onnx.helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name])
        prepend(small, [to_float(f"{name}.int8", f"{name}.float"), scaled])
    return small


def quantise(values: Array) -> tuple[NDArray[np.int8], Array]:
    """Round weights (out, ...) to int8 with a scale (out, 1, ...) such that values ~ scale * int8.

    Symmetric, -127..127, zero point 0 (Krishnamoorthi 2018, arXiv:1806.08342, section 2.2). A channel of
    zeros gets scale 1.
    """
    peak = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
    scale = np.where(peak > 0, peak / 127, 1).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale


def weights(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """List the weight tensors of convolutions and matrix products, output channels first."""
    used = {
        node.input[1]
        for node in model.graph.node
        if node.op_type == "Conv" or (node.op_type == "Gemm" and transposed(node))
    }
    large = (tensor for tensor in model.graph.initializer if tensor.name in used)
    return [tensor for tensor in large if np.prod(tensor.dims) >= MIN_WEIGHTS]


def transposed(node: onnx.NodeProto) -> bool:
    """Tell whether a Gemm keeps its weights as (out, in), as PyTorch's Linear does."""
    return any(attribute.name == "transB" and attribute.i == 1 for attribute in node.attribute)


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy a model."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def to_float(stored: str, name: str) -> onnx.NodeProto:
    """Make the node that turns `stored` into the float32 tensor `name`."""
    return onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT)


def prepend(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    """Put nodes before all others, in order."""
    for position, node in enumerate(nodes):
        model.graph.node.insert(position, node)
