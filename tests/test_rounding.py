"""Rounding that makes up for itself, against rounding to the nearest step."""

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from handlens.export import packing, rounding


def random_layer(seed: int, groups: int = 1) -> tuple[Any, Any, Any]:
    """Give weights (8, 24), inputs (groups, 500, 24) that go together, and their covariance."""
    random = np.random.default_rng(seed)
    weights = random.normal(size=(8, 24)).astype(np.float32)
    causes = random.normal(size=(groups, 500, 6))
    inputs = causes @ random.normal(size=(6, 24)) + 0.1 * random.normal(size=(groups, 500, 24))
    inputs -= inputs.mean(1, keepdims=True)
    return weights, inputs, inputs.transpose(0, 2, 1) @ inputs / 500


@given(st.integers(0, 1000), st.sampled_from([1, 2]), st.sampled_from([7, 127]))
@settings(max_examples=30, deadline=None)
def test_outputs_change_less_than_by_the_nearest_steps(seed: int, groups: int, most: int) -> None:
    weights, inputs, covariance = random_layer(seed, groups)
    nearest, scale = packing.quantise(weights, most)
    chosen = rounding.compensated(weights, scale, covariance, most)
    assert chosen.dtype == np.int8
    assert np.abs(chosen).max() <= most
    errors = [
        np.square(inputs @ (whole * scale - weights).reshape(groups, -1, 24).transpose(0, 2, 1)).mean()
        for whole in (chosen, nearest)
    ]
    assert errors[0] < errors[1]


def test_independent_inputs_give_the_nearest_steps() -> None:
    weights = random_layer(0)[0]
    nearest, scale = packing.quantise(weights, 127)
    np.testing.assert_array_equal(rounding.compensated(weights, scale, np.eye(24)[None], 127), nearest)


def test_inputs_that_never_change_or_are_no_numbers_do_no_harm() -> None:
    weights = random_layer(0)[0]
    nearest, scale = packing.quantise(weights, 127)
    for covariance in (np.zeros((1, 24, 24)), np.full((1, 24, 24), np.nan)):
        np.testing.assert_array_equal(rounding.compensated(weights, scale, covariance, 127), nearest)


def test_a_covariance_that_lost_its_last_digits_is_borne() -> None:
    weights, _, covariance = random_layer(0)
    values, vectors = np.linalg.eigh(covariance)
    values[:, 0] = -0.05 * values.mean()
    broken = vectors * values[:, None] @ vectors.transpose(0, 2, 1)
    scale = packing.quantise(weights, 127)[1]
    assert np.abs(rounding.compensated(weights, scale, broken, 127)).max() <= 127


def test_covariances_keep_their_digits_far_from_zero() -> None:
    """Inputs of 1,000 to 1,000.03: float32 knows their squares to 0.06."""
    layer = onnx.helper.make_node("Conv", ["x", "w"], ["y"])
    nodes = [
        onnx.helper.make_node("Cast", ["pixels"], ["f"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Transpose", ["f"], ["t"], perm=[0, 3, 1, 2]),
        onnx.helper.make_node("Mul", ["t", "small"], ["m"]),
        onnx.helper.make_node("Add", ["m", "large"], ["x"]),
        layer,
    ]
    constants = {"small": 1e-4, "large": 1000.0, "w": np.ones((2, 3, 1, 1))}
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.UINT8, [None, 8, 8, 3])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [
            onnx.numpy_helper.from_array(np.asarray(value, np.float32), name)
            for name, value in constants.items()
        ],
    )
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 20)])
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    (found,) = rounding.covariances(model, [layer], pixels)["w"]
    assert found.diagonal() == pytest.approx(np.full(3, (1e-4 * 73.9) ** 2), rel=0.1)


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    weights, _, covariance = random_layer(3)
    scale = packing.quantise(weights, 127)[1]
    whole = rounding.compensated(weights, scale, covariance, 127)
    monkeypatch.setattr(rounding, "BLOCK", 5)
    np.testing.assert_array_equal(rounding.compensated(weights, scale, covariance, 127), whole)


@pytest.mark.parametrize(
    ("groups", "stride", "padding", "dilation"), [(1, 1, 1, 1), (2, 2, 0, 1), (1, 1, 2, 2), (4, 2, 1, 1)]
)
def test_inputs_are_what_the_layer_multiplies(groups: int, stride: int, padding: int, dilation: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 8, 3, stride, padding, dilation, groups, bias=False)
    values = torch.rand(3, 4, 9, 9)
    node = onnx.helper.make_node(
        "Conv",
        ["x", "w"],
        ["y"],
        strides=[stride] * 2,
        pads=[padding] * 4,
        dilations=[dilation] * 2,
        group=groups,
    )
    size = tuple(layer.weight.shape)
    inputs = rounding.inputs_of(node, values.numpy(), size, np.random.default_rng(0))
    assert inputs.shape == (groups, 3 * min(rounding.POSITIONS, layer(values)[0, 0].numel()), 36 // groups)
    weights = layer.weight.detach().numpy().reshape(groups, -1, 36 // groups)
    outputs = (inputs @ weights.transpose(0, 2, 1)).transpose(1, 0, 2).reshape(-1, 8)  # (samples, out)
    expected = layer(values).detach().flatten(2).transpose(1, 2).numpy()  # (photos, positions, out)
    for number, output in enumerate(outputs):
        assert np.abs(expected[number % 3] - output).max(1).min() < 1e-5


def test_inputs_of_a_linear_layer_are_its_inputs() -> None:
    node, values = onnx.helper.make_node("Gemm", ["x", "w"], ["y"], transB=1), np.ones((5, 7), np.float32)
    assert rounding.inputs_of(node, values, (3, 7), np.random.default_rng(0)).shape == (1, 5, 7)
