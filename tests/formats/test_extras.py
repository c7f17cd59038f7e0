"""LiteRT and ExecuTorch, really: `make formats` runs each extra's tests where that extra is installed."""

from dataclasses import replace

import numpy as np
import pytest
import shapes

from handlens import prediction
from handlens.errors import UserError
from handlens.export import build, formats, parity, runtime, trailer, verification
from handlens.export.reference import reference

LIMITS = {
    "litert_fp32": shapes.LIMITS["fp32"],
    "litert_fp16": shapes.LIMITS["fp16"],
    "litert_int8_weights": shapes.LIMITS["int8_weights"],
    "executorch_fp32": shapes.LIMITS["fp32"],
    "executorch_int8": shapes.LIMITS["int8"],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", LIMITS)
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


@pytest.mark.parametrize("kind", LIMITS)
def test_a_damaged_file_is_a_sentence(kind, tmp_path):
    magic = {"litert": b"\x1c\0\0\0TFL3", "executorch": b"\x1c\0\0\0ET12"}[formats.format_of(kind)]
    with pytest.raises(UserError, match=r"not a file of handlens"):
        runtime.load(magic + b"cut off", "m")
    with pytest.raises(UserError, match=r"m is damaged"):
        runtime.load(trailer.attach(magic + b"cut off", shapes.metadata()), "m")
