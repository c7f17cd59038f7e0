import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import shapes
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from PIL import Image
from ruamel.yaml import YAML
from torch import nn

from handlens import manifest
from handlens.contract import Contract
from handlens.errors import UserError
from handlens.export import (
    bench,
    build,
    disagreement,
    golden,
    latency,
    packing,
    parity,
    runtime,
    verification,
)
from handlens.export.onnx import to_bytes
from handlens.export.parity import Limits
from handlens.export.reference import in_turn, photos_of, reference
from handlens.preprocessing import Classifier

ROOT = Path(__file__).parent.parent
KINDS = list(shapes.LIMITS)
IMPOSSIBLE = Limits(min_agreement=1.0, max_difference=0.0, max_accuracy_drop=0.0)


def judge(content, folder, *, kind="fp32", fit="letterbox", limits=None):
    """Judge a file as the stage does, on squares of the given fit."""
    known = reference(shapes.classifier(), shapes.CLASSES, shapes.rows(), shapes.store(folder / "known"))
    store = shapes.store(folder / fit, fit)
    return build.check(kind, content, shapes.contract(), known, store, limits or shapes.LIMITS[kind])


def changed(change):
    """Take the float32 file, change its graph, and give the bytes."""
    model = onnx.load_model_from_string(shapes.contents()["fp32"])
    change(model)
    return to_bytes(model, replace(shapes.metadata(), kind="fp32"))


def constants(model):
    return {tensor.name: tensor for tensor in model.graph.initializer}


def set_constant(model, name, values):
    constants(model)[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), name))


def permute_input_channels(order):
    """Make the first convolution see the channels in another order, as a runtime does that feeds it so."""

    def change(model):
        first = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
        weights = numpy_helper.to_array(constants(model)[first])
        set_constant(model, first, weights[:, order])

    return change


def shuffle_outputs(model):
    gemm = next(node for node in model.graph.node if node.op_type == "Gemm")
    for name in gemm.input[1:]:
        set_constant(model, name, np.roll(numpy_helper.to_array(constants(model)[name]), 1, axis=0))


def wrong_mean(model):
    name = next(name for name in constants(model) if "shift" in name)
    shift = numpy_helper.to_array(constants(model)[name])
    set_constant(model, name, shift + np.array([1.5, 0, -1.5], np.float32).reshape(1, 3, 1, 1))


def test_the_network_of_these_tests_has_learned(tmp_path):
    known = reference(shapes.classifier(), shapes.CLASSES, shapes.rows(), shapes.store(tmp_path))
    assert (known.trained.argmax(axis=1) == known.labels).mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_agrees_with_the_trained_model(kind, tmp_path):
    file = judge(shapes.contents()[kind], tmp_path, kind=kind)
    assert file.misses == ()
    assert file.parity.photos == 60


def test_packed_weights_are_smaller(tmp_path):
    sizes = {kind: len(content) for kind, content in shapes.contents().items()}
    assert sizes["fp16"] < 0.62 * sizes["fp32"]
    assert sizes["int8_weights"] < 0.40 * sizes["fp32"]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (permute_input_channels([2, 1, 0]), "BGR"),
        (permute_input_channels([0, 2, 1]), "swapped channels"),
        (shuffle_outputs, "shuffled outputs"),
        (wrong_mean, "wrong mean"),
    ],
)
def test_a_broken_graph_is_caught(change, name, tmp_path):
    file = judge(changed(change), tmp_path)
    assert any("agreement" in miss for miss in file.misses), name
    assert any("probability differs" in miss for miss in file.misses), name


def test_shuffled_class_names_are_caught(tmp_path):
    turned = Contract(**{**shapes.contract().model_dump(), "classes": shapes.CLASSES[::-1]})
    model = onnx.load_model_from_string(shapes.contents()["fp32"])
    content = to_bytes(model, replace(shapes.metadata(), kind="fp32", contract=turned))
    file = judge(content, tmp_path)
    assert file.parity.agreement < 0.5
    assert any("classes" in miss for miss in file.misses)


def test_stretched_photos_are_caught(tmp_path):
    file = judge(shapes.contents()["fp32"], tmp_path, fit="squash")
    assert any("agreement" in miss for miss in file.misses)


def test_photos_that_differ_are_drawn(tmp_path):
    file = judge(changed(shuffle_outputs), tmp_path)
    assert len(file.different) == round(60 * (1 - file.parity.agreement))
    one = file.different[0]
    assert one.rival != one.prediction
    disagreement.draw(file.different, "fp32", 60, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 500


def test_a_file_whose_contract_says_another_fit_is_caught(tmp_path):
    model = onnx.load_model_from_string(shapes.contents()["fp32"])
    content = to_bytes(model, replace(shapes.metadata(), kind="fp32", contract=shapes.contract("squash")))
    assert judge(content, tmp_path).misses == (
        "the file's contract says fit 'squash', the trained model's 'letterbox'",
    )


def test_probabilities_that_are_no_numbers_are_caught():
    good = np.array([[0.9, 0.1]], np.float32)
    found = parity.compare(good, np.full((1, 2), np.nan, np.float32), np.array([0]))
    assert found.max_difference == 1.0
    assert parity.misses(found, shapes.LIMITS["fp32"])


def test_each_limit_is_checked():
    trained = np.array([[0.9, 0.1], [0.6, 0.4]], np.float32)
    exported = np.array([[0.9, 0.1], [0.4, 0.6]], np.float32)
    found = parity.compare(trained, exported, np.array([0, 0]))
    assert (found.agreement, found.accuracy, found.accuracy_trained) == (0.5, 0.5, 1.0)
    assert found.accuracy_low < 0.5 < found.accuracy_high
    assert len(parity.misses(found, Limits(min_agreement=1, max_difference=0, max_accuracy_drop=0))) == 3
    assert not parity.misses(found, Limits(min_agreement=0.5, max_difference=0.21, max_accuracy_drop=0.5))


def test_columns_follow_names_and_other_names_are_refused():
    given = np.array([[0.1, 0.9]], np.float32)
    assert parity.by_name(given, ["乙", "甲"], ["甲", "乙"]).tolist() == [[np.float32(0.9), np.float32(0.1)]]
    with pytest.raises(UserError, match="not those of the model"):
        parity.by_name(given, ["甲", "丙"], ["甲", "乙"])


def test_the_same_model_gives_the_same_bytes():
    again = build.make(shapes.classifier(), shapes.metadata(), KINDS, shapes.training_squares())
    assert again == shapes.contents()


def test_a_file_tells_nothing_of_the_machine_that_made_it():
    for content in shapes.contents().values():
        for trace in (b"site-packages", b".py", b"stack_trace", str(ROOT).encode()):
            assert trace not in content


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_says_what_it_is(kind):
    assert runtime.load(shapes.contents()[kind], "file").metadata == replace(shapes.metadata(), kind=kind)
    stored = onnx.load_model_from_string(shapes.contents()[kind]).metadata_props
    props = {entry.key: entry.value for entry in stored}
    assert json.loads(props["classes"]) == list(shapes.CLASSES)
    assert "红" in props["classes"]


def test_foreign_files_are_refused(tmp_path):
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = onnx.helper.make_graph([node], "g", values[:1], values[1:])
    foreign = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 20)])
    with pytest.raises(UserError, match="not an ONNX file of handlens"):
        runtime.load(foreign.SerializeToString(), "foreign.onnx")
    with pytest.raises(UserError, match=r"notes\.onnx is not an ONNX file that onnxruntime"):
        runtime.load(b"these are notes", "notes.onnx")
    with pytest.raises(UserError, match=r"gone\.onnx is missing"):
        runtime.open_file(tmp_path / "gone.onnx")


def test_rounding_to_int8_keeps_within_half_a_step():
    weights = np.random.default_rng(0).normal(size=(5, 8, 3, 3)).astype(np.float32)
    weights[2] = 0
    rounded, scale = packing.quantise(weights, 127)
    assert rounded.dtype == np.int8
    assert np.abs(rounded).max() == 127
    assert (np.abs(rounded * scale - weights) <= scale / 2 * 1.0001).all()


@given(st.lists(st.integers(1, 300), min_size=1, max_size=12), st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_the_smallest_layers_are_as_many_as_the_share_holds(sizes, share):
    nodes = [onnx.helper.make_node("Gemm", ["x", f"w{i}"], [f"y{i}"], transB=1) for i in range(len(sizes))]
    weights = [numpy_helper.from_array(np.ones((1, n), np.float32), f"w{i}") for i, n in enumerate(sizes)]
    graph = onnx.helper.make_graph(nodes, "layers", [], [], weights)
    chosen = [int(name[1:]) for name in packing.smallest(onnx.helper.make_model(graph), share)]
    others = [i for i in range(len(sizes)) if i not in chosen]
    held = sum(sizes[i] for i in chosen)
    assert held <= share * sum(sizes)
    for i in others:
        assert held + sizes[i] > share * sum(sizes)
        assert all((sizes[j], j) < (sizes[i], i) for j in chosen)


@pytest.mark.parametrize("groups", [1, 2])
def test_the_bias_correction_is_the_mean_of_what_the_error_adds(groups):
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, 3, groups=groups, bias=False)
    inputs = torch.rand(16, 4, 1, 1).expand(16, 4, 5, 5)
    with torch.no_grad():
        added = layer(inputs).mean((0, 2, 3)).numpy()
    mean = inputs.mean((0, 2, 3)).double().numpy()
    np.testing.assert_allclose(packing.shift(layer.weight.detach().numpy(), mean), added, atol=1e-5)


@pytest.mark.parametrize(
    ("part", "without"),
    [
        ("shift", lambda error, mean: np.zeros(len(error), np.float32)),
        ("covariances", lambda model, layers, calibration: {}),
        ("smallest", lambda model, share: set()),
    ],
)
def test_each_care_taken_brings_coarse_weights_nearer(part, without, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "MOST", 7)
    graph = onnx.load_model_from_string(shapes.contents()["fp32"])

    def difference():
        packed = to_bytes(packing.int8_weights(graph, shapes.squares()[:60]), shapes.metadata())
        return judge(packed, tmp_path, kind="int8_weights").parity.mean_difference

    with_all = difference()
    monkeypatch.setattr(packing, part, without)
    assert with_all < difference()


def test_photos_are_chosen_class_by_class():
    rows = shapes.rows()
    chosen = in_turn(photos_of(rows, "test")["label"], 7)
    labels = photos_of(rows, "test")["label"].iloc[chosen]
    assert sorted(labels.value_counts()) == [2, 2, 3]


def test_flips_and_repetitions_are_not_counted_as_photos():
    rows = shapes.rows()
    flips = rows.assign(op="hflip")
    again = rows.assign(copy=1)
    assert len(photos_of(pd.concat([rows, flips, again]), "test")) == 60


def test_the_stage_writes_the_same_bytes_in_another_process(tmp_path):
    model, out, summary = tmp_path / "models/形状", tmp_path / "out", tmp_path / "summary.json"
    shapes.save(model)
    shapes.store(tmp_path / "pixels")
    shapes.contract().save(tmp_path / "contract.json")
    manifest.write(shapes.rows(), tmp_path / "split.csv")
    params = YAML().load(ROOT / "params.yaml")
    limits = shapes.LIMITS["fp32"]
    params["export"]["files"] = {"fp32": asdict(limits), "fp16": asdict(IMPOSSIBLE)}
    params["app"]["files"] = None
    YAML().dump(params, tmp_path / "params.yaml")
    inputs = [model, tmp_path / "split.csv", tmp_path / "contract.json", tmp_path / "pixels"]
    command = [sys.executable, ROOT / "stages/export.py", tmp_path / "params.yaml", *inputs, out, summary]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert (out / "fp32.onnx").read_bytes() == shapes.contents()["fp32"]
    assert not (out / "fp16.onnx").exists()
    assert json.loads(summary.read_text(encoding="utf-8"))["passed"] is False


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Export float32, which passes, and float16, whose limits cannot be met."""
    return build.export(
        shapes.classifier(),
        shapes.metadata(),
        shapes.rows(),
        shapes.store(tmp_path_factory.mktemp("pixels")),
        limits={"fp32": shapes.LIMITS["fp32"], "fp16": IMPOSSIBLE},
        calibration=30,
        vectors=12,
    )


def test_a_file_that_misses_its_limits_is_not_written(exports, tmp_path):
    folder = tmp_path / "export 出口"
    folder.mkdir()
    (folder / "fp16.onnx").write_bytes(b"of an earlier run")
    build.write(exports, folder)
    summary = build.summary(exports)
    assert sorted(path.name for path in folder.iterdir()) == ["fp32.onnx", "golden.bin", "golden.json"]
    assert summary["passed"] is False
    assert summary["fp32_passed"] is True
    assert "fp16: a probability differs by" in str(summary["reasons"])
    assert summary["fp32_agreement"] == 1.0
    assert summary["photos"] == 60
    vectors = golden.read(folder)
    assert set(vectors.probabilities) == {"trained", "fp32"}
    assert verification.replay(runtime.open_file(folder / "fp32.onnx"), vectors).passed


def test_no_test_photo_is_a_sentence(tmp_path):
    rows = shapes.rows().assign(split="train")
    with pytest.raises(UserError, match="test side"):
        reference(shapes.classifier(), shapes.CLASSES, rows, shapes.store(tmp_path))


def test_golden_vectors_are_plain_arrays(exports, tmp_path):
    golden.write(exports.vectors, tmp_path)
    described = json.loads((tmp_path / "golden.json").read_text(encoding="utf-8"))
    raw = (tmp_path / "golden.bin").read_bytes()
    entry = described["arrays"]["trained"]
    values = np.frombuffer(raw, "<f4", 36, entry["offset"]).reshape(entry["shape"])
    np.testing.assert_array_equal(values, exports.vectors.probabilities["trained"])
    assert described["arrays"]["pixels"] == {"dtype": "uint8", "shape": [12, 32, 32, 3], "offset": 0}
    assert described["photos"][0]["label"] in shapes.CLASSES
    assert len(raw) == 12 * 32 * 32 * 3 + 2 * 12 * 3 * 4
    np.testing.assert_array_equal(golden.read(tmp_path).pixels, exports.vectors.pixels)


def test_a_changed_file_fails_its_golden_vectors(exports):
    vectors = exports.vectors
    broken = runtime.load(changed(permute_input_channels([2, 1, 0])), "broken")
    assert not verification.replay(broken, vectors).passed
    other = runtime.load(shapes.contents()["fp16"], "other")
    with pytest.raises(UserError, match="'fp16'"):
        verification.replay(other, vectors)


def test_calls_take_turns():
    said = []
    calls = {"a": lambda: said.append("a"), "b": lambda: said.append("b")}
    taken = latency.measure(calls, rounds=3, warmup=1)
    assert said == ["a", "b"] * 4
    assert 0 <= taken["a"].median <= taken["a"].p95


def test_bench_counts_and_times(tmp_path):
    path = tmp_path / "文件 fp32.onnx"
    path.write_bytes(shapes.contents()["fp32"])
    found = bench.measure([path], rounds=3)
    (cost,) = found.costs
    assert found.eager is None
    assert cost.kind == "fp32"
    assert cost.operators["Conv"] == 3
    assert 0 < cost.compressed < cost.megabytes
    assert cost.single.median > 0
    assert cost.threaded.median > 0
    assert cost.memory is None or cost.memory > 0
    assert "文件 fp32.onnx" in bench.table(found)
    assert json.loads(bench.as_json(found))["files"][0]["operators"]["Conv"] == 3


def test_a_file_predicts_without_torch(tmp_path):
    path = tmp_path / "fp32.onnx"
    path.write_bytes(shapes.contents()["fp32"])
    script = (
        "import sys, numpy as np; from pathlib import Path; from handlens import prediction;"
        f"model = prediction.load(Path({str(path)!r}));"
        "model.predict(np.zeros((1, 32, 32, 3), np.uint8));"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ})


class Shared(nn.Module):
    """One linear layer with two uses and a convolution without bias, as CBAM and GoogLeNet have them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 7, stride=4, bias=False)
        self.fc = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, images):
        features = self.conv(images).relu()
        return self.head(self.fc(features.mean((2, 3))) + self.fc(features.amax((2, 3))))


def test_shared_weights_and_missing_biases_are_packed():
    torch.manual_seed(0)
    model = Classifier(Shared(), shapes.contract()).eval()
    pixels = shapes.squares()[:30]
    made = build.make(model, shapes.metadata(), KINDS, pixels)
    given = {kind: runtime.load(content, kind).predict(pixels) for kind, content in made.items()}
    for kind, most in {"fp16": 1e-3, "int8_weights": 0.02, "int8": 0.1}.items():
        assert parity.largest_difference(given["fp32"], given[kind]) < most, kind
