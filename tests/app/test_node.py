"""Golden vectors of real exported files, replayed by onnxruntime-web in Node; before them the page's fit."""

import json
import subprocess
from pathlib import Path

import cv2
import pytest
from phone import LIMITS

from handlens import photos
from handlens.export import golden

ROOT = Path(__file__).parents[2]
ORT = ROOT / "web/node_modules/onnxruntime-web/dist/ort.node.min.mjs"
FITTED_TOLERANCE = 0.05  # what a grey value in a few bytes may move a probability


@pytest.fixture(scope="module")
def replayed(food, tmp_path_factory):
    """What Node says of the files of the food model and of its golden photos, read by Python."""
    raw = tmp_path_factory.mktemp("raw")
    sizes = []
    for number, path in enumerate(golden.read(food.exports).paths):
        rgb = photos.read(food.raw / path, transparency="black", max_megapixels=50).rgb
        (raw / f"{number}.rgba").write_bytes(cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA).tobytes())
        sizes.append(rgb.shape[1::-1])
    (raw / "sizes.json").write_text(json.dumps(sizes), encoding="utf-8")
    script, fit = ROOT / "tests/app/replay.mjs", ROOT / "web/fit.js"
    command = ["node", script, ORT.as_uri(), food.exports, raw, fit.as_uri()]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_every_kind_is_replayed(replayed):
    assert set(replayed["kinds"]) == set(LIMITS)


@pytest.mark.parametrize("kind", LIMITS)
def test_node_gives_what_python_gave(replayed, kind):
    assert replayed["kinds"][kind]["given"] <= golden.TOLERANCE[kind]


@pytest.mark.parametrize("kind", LIMITS)
def test_photos_fitted_in_javascript_give_the_same(replayed, kind):
    assert replayed["byte"] <= 1
    assert replayed["kinds"][kind]["fitted"] <= golden.TOLERANCE[kind] + FITTED_TOLERANCE
