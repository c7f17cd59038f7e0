"""Rounding of weights that makes up for itself: later weights take over what earlier ones lost.

Frantar et al. 2022, GPTQ, arXiv:2210.17323. To the nearest step each weight is best alone; of a whole output
the error is least when the weights not yet rounded move against it, as far as inputs go together.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.linalg.lapack import dtrtri

from handlens.export.activations import activations
from handlens.pixels import Pixels

POSITIONS = 16  # of a layer's output that are looked at per photo
DAMPING = (0.01, 0.1, 1.0)  # shares of the average variance; the first is the paper's
BLOCK = 128  # columns after which the other columns learn of the errors

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def covariances(
    model: onnx.ModelProto, layers: Sequence[onnx.NodeProto], calibration: Pixels
) -> dict[str, Doubles]:
    """Give, by the name of each layer's weights, the covariance of its inputs: (groups, fan in, fan in).

    `layers` are convolutions and linear layers with names of constants as second input; `calibration` is
    uint8 (N, store, store, 3).
    """
    sizes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    random = np.random.default_rng(0)
    counts = dict.fromkeys((node.input[1] for node in layers), 0)
    centres: dict[str, Floats] = {}  # near the mean, so that products keep their digits
    sums: dict[str, Doubles] = {}
    products: dict[str, Doubles] = {}
    for found in activations(model, {node.input[0] for node in layers}, calibration):
        for node in layers:
            name = node.input[1]
            inputs = inputs_of(node, found[node.input[0]], sizes[name], random)
            inputs = inputs - centres.setdefault(name, inputs.mean(axis=1, keepdims=True))
            counts[name] += inputs.shape[1]
            if name not in products:
                groups, _, fan_in = inputs.shape
                sums[name], products[name] = np.zeros((groups, fan_in)), np.zeros((groups, fan_in, fan_in))
            sums[name] += inputs.sum(axis=1)
            products[name] += inputs.transpose(0, 2, 1) @ inputs
    for name, covariance in products.items():
        mean = sums[name] / counts[name]
        covariance /= counts[name]
        covariance -= mean[:, :, None] * mean[:, None, :]
    return products


def inputs_of(
    node: onnx.NodeProto, values: Floats, size: Sequence[int], random: np.random.Generator
) -> Floats:
    """Give what a layer multiplies with its weights (out, in / groups, ...): (groups, samples, fan in).

    `values` (N, in) or (N, in, H, W) are its input; of a convolution's positions some are drawn.
    """
    if node.op_type == "Gemm":
        return values[None]
    settings = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
    top, left, bottom, right = settings.get("pads", [0] * 4)
    down, across = settings.get("dilations", [1, 1])
    step_down, step_across = settings.get("strides", [1, 1])
    padded = np.pad(values, [(0, 0), (0, 0), (top, bottom), (left, right)])
    reach = (down * (size[2] - 1) + 1, across * (size[3] - 1) + 1)
    windows = sliding_window_view(padded, reach, axis=(2, 3))
    windows = windows[:, :, ::step_down, ::step_across, ::down, ::across]
    drawn = len(values) * min(POSITIONS, windows.shape[2] * windows.shape[3])
    photo = np.arange(drawn) % len(values)
    row, column = (random.integers(windows.shape[axis], size=drawn) for axis in (2, 3))
    taken = windows[photo, :, row, column]  # (samples, in, height, width)
    groups = settings.get("group", 1)
    return taken.reshape(drawn, groups, -1).transpose(1, 0, 2)


def compensated(weights: Floats, scale: Floats, covariance: Doubles, most: int) -> NDArray[np.int8]:
    """Round weights (out, ...) to whole numbers of -most..most times `scale` (out, 1, ...).

    `covariance` (groups, fan in, fan in) is that of the inputs; their mean is left to the bias.
    """
    groups, fan_in, _ = covariance.shape
    rows = weights.reshape(groups, -1, fan_in).astype(np.float64)
    steps = scale.reshape(groups, -1).astype(np.float64)
    whole = [compensate(*group, most) for group in zip(rows, steps, covariance, strict=True)]
    return np.stack(whole).reshape(weights.shape).astype(np.int8)


def compensate(rows: Doubles, steps: Doubles, covariance: Doubles, most: int) -> Doubles:
    """Round the weights (out, fan in) of one group, column by column."""
    rows, whole = rows.copy(), np.empty_like(rows)
    passing = passing_on(covariance)
    for start in range(0, rows.shape[1], BLOCK):
        stop = min(start + BLOCK, rows.shape[1])
        errors = np.empty((len(rows), stop - start))
        for column in range(start, stop):
            whole[:, column] = np.rint(rows[:, column] / steps).clip(-most, most)
            error = (rows[:, column] - whole[:, column] * steps) / passing[column, column]
            rows[:, column + 1 : stop] -= np.outer(error, passing[column, column + 1 : stop])
            errors[:, column - start] = error
        rows[:, stop:] -= errors @ passing[start:stop, stop:]
    return whole


def passing_on(covariance: Doubles) -> Doubles:
    """Give the upper Cholesky factor of the inverse, whose row i tells how the error of input i is passed on.

    Inputs that depend on each other, or never change, get as much noise as it takes; where inputs are not
    numbers, nothing is passed on.
    """
    unit, variance = np.eye(len(covariance)), covariance.diagonal().mean() or 1.0
    if not np.isfinite(covariance).all():
        return unit
    for share in DAMPING:
        damped = covariance.copy()
        damped.flat[:: len(unit) + 1] += share * variance
        try:
            backward = np.linalg.cholesky(damped[::-1, ::-1])[::-1, ::-1]  # damped = backward @ backward.T
        except np.linalg.LinAlgError:
            continue
        inverse: Doubles = dtrtri(backward)[0]
        return inverse
    return unit
