"""What is said of LiteRT and ExecuTorch where their extras are missing; `tests/formats` has the rest."""

from pathlib import Path

import pytest
import shapes

from handlens import checking, prediction
from handlens.errors import UserError
from handlens.export import build, formats, golden, trailer

ROOT = Path(__file__).parent.parent
KINDS = ("litert_fp32", "litert_fp16", "litert_int8_weights", "executorch_fp32", "executorch_int8")
MAGIC = {"litert": b"\x1c\0\0\0TFL3", "executorch": b"\x1c\0\0\0ET12"}


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: None)


def test_every_kind_has_a_name_a_maker_limits_and_a_tolerance():
    assert set(build.KINDS) == {*KINDS, *shapes.LIMITS} == set(golden.TOLERANCE)
    assert {formats.format_of(kind) for kind in build.KINDS} == set(build.CONVERT) == set(build.SEAL)
    assert formats.file_name("int8_weights") == "int8_weights.onnx"
    assert formats.file_name("litert_fp16") == "litert_fp16.tflite"
    assert formats.file_name("executorch_int8") == "executorch_int8.pte"


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_extra_is_said_before_anything_runs(kind, tmp_path, nothing_installed):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    limits = "{min_agreement: 0.9, max_difference: 0.1, max_accuracy_drop: 0.1}"
    path = tmp_path / "params.yaml"
    path.write_text(text.replace("  files:\n", f"  files:\n    {kind}: {limits}\n"), encoding="utf-8")
    extra = formats.format_of(kind)
    with pytest.raises(UserError, match=rf"export\.files\.{kind} needs the extra '{extra}'.*pip install"):
        checking.check(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_extra_is_said_when_a_file_is_made(kind, nothing_installed):
    with pytest.raises(UserError, match="needs the extra"):
        build.make(shapes.classifier(), shapes.metadata(), [kind], shapes.training_squares())


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
