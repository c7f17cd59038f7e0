"""The snippets of the README, run as they stand there beside a model's files."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handlens.export import golden

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUNNERS = {"python": (sys.executable, "snippet.py"), "javascript": ("node", "snippet.mjs")}


def snippet(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return found


@pytest.mark.parametrize("language", RUNNERS)
def test_the_snippet_names_the_first_golden_photo(language, food, tmp_path):
    runner, name = RUNNERS[language]
    for path in (food.exports / "fp32.onnx", food.exports / golden.JSON, food.exports / golden.BIN):
        shutil.copy(path, tmp_path)
    (tmp_path / "node_modules").symlink_to(ROOT / "web/node_modules")
    (tmp_path / name).write_text(snippet(language), encoding="utf-8")
    result = subprocess.run([runner, name], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    said, probability = result.stdout.strip().rsplit(" ", 1)
    vectors = golden.read(food.exports)
    expected = vectors.probabilities["fp32"][0]
    assert said == vectors.classes[expected.argmax()]
    assert float(probability) == pytest.approx(expected.max(), abs=1e-4)
