"""LiteRT and ExecuTorch: their kinds where the extras are installed, and what is said where they are not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapes

from handlens import checking, prediction
from handlens.errors import UserError
from handlens.export import build, formats, golden, parity, runtime, trailer, verification
from handlens.export.reference import reference

ROOT = Path(__file__).parent.parent
LIMITS = {
    "litert_fp32": shapes.LIMITS["fp32"],
    "litert_fp16": shapes.LIMITS["fp16"],
    "litert_int8_weights": shapes.LIMITS["int8_weights"],
    "executorch_fp32": shapes.LIMITS["fp32"],
    "executorch_int8": shapes.LIMITS["int8"],
}
MAGIC = {"litert": b"\x1c\0\0\0TFL3", "executorch": b"\x1c\0\0\0ET12"}


def installed(kind: str) -> bool:
    try:
        formats.require(formats.format_of(kind), kind)
    except UserError:
        return False
    return True


INSTALLED = [kind for kind in LIMITS if installed(kind)]


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: None)


def test_every_kind_has_a_name_a_maker_limits_and_a_tolerance():
    kinds = {*build.KINDS, *build.OTHER_KINDS}
    assert kinds == {*LIMITS, *shapes.LIMITS} == set(golden.TOLERANCE)
    assert formats.file_name("int8_weights") == "int8_weights.onnx"
    assert formats.file_name("litert_fp16") == "litert_fp16.tflite"
    assert formats.file_name("executorch_int8") == "executorch_int8.pte"


@pytest.mark.parametrize("kind", LIMITS)
def test_a_missing_extra_is_said_before_anything_runs(kind, tmp_path, nothing_installed):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    limits = "{min_agreement: 0.9, max_difference: 0.1, max_accuracy_drop: 0.1}"
    path = tmp_path / "params.yaml"
    path.write_text(text.replace("  files:\n", f"  files:\n    {kind}: {limits}\n"), encoding="utf-8")
    extra = formats.format_of(kind)
    with pytest.raises(UserError, match=rf"export\.files\.{kind} needs the extra '{extra}'.*pip install"):
        checking.check(path)


@pytest.mark.parametrize("kind", LIMITS)
def test_a_missing_extra_is_said_when_a_file_is_made(kind, nothing_installed):
    with pytest.raises(UserError, match="needs the extra"):
        build.OTHER_KINDS[kind](shapes.classifier(), shapes.training_squares())


@pytest.mark.parametrize("extra", MAGIC)
def test_a_missing_extra_is_said_when_a_file_is_used(extra, tmp_path, nothing_installed):
    path = tmp_path / "m.bin"
    path.write_bytes(MAGIC[extra])
    with pytest.raises(UserError, match=rf"m\.bin needs the extra '{extra}'"):
        prediction.load(path)


def test_metadata_behind_a_file_comes_back():
    content = trailer.attach(b"any bytes", shapes.metadata())
    assert trailer.attach(b"any bytes", shapes.metadata()) == content
    assert content.startswith(b"any bytes")
    assert trailer.read(content, "file") == shapes.metadata()
    with pytest.raises(UserError, match=r"a\.tflite is not a file of handlens"):
        trailer.read(b"any bytes", "a.tflite")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", INSTALLED)
def test_a_file_of_another_format_agrees_with_the_trained_model(kind, tmp_path):
    made = build.make(shapes.classifier(), shapes.metadata(), [kind], shapes.training_squares())
    known = reference(shapes.classifier(), shapes.CLASSES, shapes.rows(), shapes.store(tmp_path / "pixels"))
    file = build.check(
        kind, made[kind], shapes.contract(), known, shapes.store(tmp_path / "pixels"), LIMITS[kind]
    )
    assert file.misses == ()
    assert file.parity.photos == 60
    exported = runtime.load(bytes(bytearray(made[kind])), kind)  # its bytes live on in the loaded file only
    overwritten = [b"\xff" * len(made[kind]) for _ in range(100)]
    assert len(overwritten) == 100
    assert exported.metadata == replace(shapes.metadata(), kind=kind)
    vectors = build.golden_vectors(known, [file], shapes.CLASSES, shapes.store(tmp_path / "pixels"), 6)
    assert verification.replay(exported, vectors).passed
    swapped = runtime.load(made[kind], kind).predict(shapes.squares()[:60, ..., ::-1].copy())
    assert parity.largest_difference(swapped, exported.predict(shapes.squares()[:60])) > 0.5
    path = tmp_path / formats.file_name(kind)
    path.write_bytes(made[kind])
    assert np.allclose(
        prediction.load(path).predict(shapes.squares()[:2]), exported.predict(shapes.squares()[:2])
    )


@pytest.mark.parametrize("kind", INSTALLED)
def test_a_damaged_file_is_a_sentence(kind, tmp_path):
    magic = MAGIC[formats.format_of(kind)]
    with pytest.raises(UserError, match=r"not a file of handlens"):
        runtime.load(magic + b"cut off", "m")
    with pytest.raises(UserError, match=r"m is damaged"):
        runtime.load(trailer.attach(magic + b"cut off", shapes.metadata()), "m")
