"""Smaller files of the same network: weights stored in 16 or 8 bits, arithmetic in float32.

A stored weight is followed by the nodes that turn it back into float32. Every onnxruntime folds these away
when it loads the file (constant folding), so speed and result are those of float32 with rounded weights, on
every device and without a session option; DequantizeLinear, the usual node, is not folded unless
`session.disable_quant_qdq` is set and is 2 times slower then.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from handlens.export.activations import activations
from handlens.export.rounding import compensated, covariances
from handlens.pixels import Pixels

MOST = 127  # whole numbers of an int8 each side of 0
MOST_FAN_IN = 4608  # weights per output channel (512 x 3 x 3) up to which their rounding makes up for itself
SMALLEST = 0.1  # share of the weights, those of the smallest layers, that int8_weights keeps in 16 bits

Array = NDArray[np.float32]
Tensor: TypeAlias = onnx.TensorProto
Packing = Callable[[onnx.ModelProto, Tensor], Array]


def fp16(model: onnx.ModelProto, calibration: Pixels) -> onnx.ModelProto:
    """Store the weights as float16: half the file. `calibration` as in `int8_weights`."""
    return pack(model, calibration, lambda tensor: half)


def int8_weights(model: onnx.ModelProto, calibration: Pixels) -> onnx.ModelProto:
    """Store the weights as int8 with one scale per output channel: little more than a quarter of the file.

    The smallest layers, such as first and depthwise convolutions, become float16. `calibration` are photos
    (N, store, store, 3): the others are rounded such that the outputs on them change least.
    """
    small = smallest(model, SMALLEST)
    sizes = {tensor.name: fan_in(tensor) for tensor in model.graph.initializer}
    layers = [
        node for node in weighted(model) if node.input[1] not in small and sizes[node.input[1]] <= MOST_FAN_IN
    ]
    seen = covariances(model, layers, calibration)

    def packing_of(tensor: Tensor) -> Packing:
        return half if tensor.name in small else partial(int8, covariance=seen.get(tensor.name))

    return pack(model, calibration, packing_of)


def pack(
    model: onnx.ModelProto, calibration: Pixels, packing_of: Callable[[Tensor], Packing]
) -> onnx.ModelProto:
    """Store every weight tensor in the way that `packing_of` chooses.

    What rounding adds to a channel's output on average over the calibration photos is taken off its bias
    (bias correction: Nagel et al. 2019, arXiv:1906.04721, section 4.2), except where layers share weights.
    """
    small = copy_of(model)
    layers: dict[str, list[onnx.NodeProto]] = {}
    for node in weighted(small):
        layers.setdefault(node.input[1], []).append(node)
    means = channel_means(model, {nodes[0].input[0] for nodes in layers.values()}, calibration)
    for name, nodes in layers.items():
        tensor = initializer(small, name)
        exact = numpy_helper.to_array(tensor)
        error = packing_of(tensor)(small, tensor) - exact
        if len(nodes) == 1:
            add_to_bias(small, nodes[0], -shift(error, means[nodes[0].input[0]]))
    return small


def half(model: onnx.ModelProto, tensor: Tensor) -> Array:
    """Keep a tensor as float16; returns its rounded values."""
    name, rounded = tensor.name, numpy_helper.to_array(tensor).astype(np.float16)
    tensor.CopyFrom(numpy_helper.from_array(rounded, f"{name}.half"))
    prepend(model, [to_float(f"{name}.half", name)])
    widened: Array = rounded.astype(np.float32)
    return widened


def int8(model: onnx.ModelProto, tensor: Tensor, *, covariance: NDArray[np.float64] | None = None) -> Array:
    """Keep a tensor as int8 and a scale per output channel; returns its rounded values.

    With the `covariance` of the layer's inputs the rounding makes up for itself.
    """
    name, exact = tensor.name, numpy_helper.to_array(tensor)
    rounded, scale = quantise(exact, MOST)
    if covariance is not None:
        rounded = compensated(exact, scale, covariance, MOST)
    tensor.CopyFrom(numpy_helper.from_array(rounded, f"{name}.int8"))
    model.graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
    scaled = onnx.helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name])
    prepend(model, [to_float(f"{name}.int8", f"{name}.float"), scaled])
    return rounded * scale


def seven_bits(model: onnx.ModelProto, tensor: Tensor) -> Array:
    """Leave a tensor as it is; returns what `handlens.export.quantization` will round its values to."""
    rounded, scale = quantise(numpy_helper.to_array(tensor), 64)
    return rounded * scale


def fan_in(tensor: Tensor) -> int:
    """Count the weights of one output channel."""
    return int(np.prod(tensor.dims[1:]))


def smallest(model: onnx.ModelProto, share: float) -> set[str]:
    """Name the smallest tensors of weights, of equal ones the first, that hold at most `share` of all."""
    names = dict.fromkeys(node.input[1] for node in weighted(model))
    sizes = {name: int(np.prod(initializer(model, name).dims)) for name in names}
    ordered = sorted(sizes, key=sizes.__getitem__)
    held = np.cumsum([sizes[name] for name in ordered])
    return {name for name, total in zip(ordered, held, strict=True) if total <= share * held[-1]}


def weighted(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """List the convolutions and linear layers with constant weights (out, ...) and a constant or no bias."""
    constant = {tensor.name for tensor in model.graph.initializer}
    return [
        node
        for node in model.graph.node
        if (node.op_type == "Conv" or (node.op_type == "Gemm" and transposed(node)))
        and {*node.input[1:]} <= constant
    ]


def add_to_bias(model: onnx.ModelProto, node: onnx.NodeProto, change: Array) -> None:
    """Add `change` (out,) to a layer's bias; a layer without one gets one."""
    if len(node.input) == 3:
        bias = initializer(model, node.input[2])
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + change, bias.name))
    else:
        node.input.append(f"{node.input[1]}.bias")
        model.graph.initializer.append(numpy_helper.from_array(change, node.input[2]))


def transposed(node: onnx.NodeProto) -> bool:
    """Tell whether a Gemm keeps its weights as (out, in), as PyTorch's Linear does."""
    return any(attribute.name == "transB" and attribute.i == 1 for attribute in node.attribute)


def channel_means(
    model: onnx.ModelProto, names: set[str], calibration: Pixels
) -> dict[str, NDArray[np.float64]]:
    """Average the tensors `names` (N, channels, ...) per channel over the calibration photos."""
    sums = dict.fromkeys(names, np.zeros(1))
    for found in activations(model, names, calibration):
        for name, values in found.items():
            per_photo = values.mean(axis=tuple(range(2, values.ndim)), dtype=np.float64)
            sums[name] = sums[name] + per_photo.sum(axis=0)
    return {name: total / len(calibration) for name, total in sums.items()}


def quantise(values: Array, most: int) -> tuple[NDArray[np.int8], Array]:
    """Round weights (out, ...) to int8 with a scale (out, 1, ...) such that values ~ scale * int8.

    Symmetric, -most..most, zero point 0 (Krishnamoorthi 2018, arXiv:1806.08342, section 2.2). A channel of
    zeros gets scale 1.
    """
    peak = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
    scale = np.where(peak > 0, peak / most, 1).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale


def shift(error: Array, mean: NDArray[np.float64]) -> Array:
    """Give what an error of the weights (out, in / groups, ...) adds to the outputs (out,) on average.

    `mean` (in,) is the layer's average input per channel. Borders padded with zeros are left out of account.
    """
    per_input = error.reshape(*error.shape[:2], -1).sum(axis=2)
    groups = len(mean) // per_input.shape[1]
    by_group = per_input.reshape(groups, -1, per_input.shape[1])
    added: NDArray[np.float64] = np.einsum("goi,gi->go", by_group, mean.reshape(groups, -1))
    return added.reshape(-1).astype(np.float32)


def initializer(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    """Find a constant by name."""
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def to_float(stored: str, name: str) -> onnx.NodeProto:
    """Make the node that turns `stored` into the float32 tensor `name`."""
    return onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT)


def prepend(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    """Put nodes before all others, in order."""
    for position, node in enumerate(nodes):
        model.graph.node.insert(position, node)


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy a model."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
