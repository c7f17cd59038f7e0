import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import textures
from dvc_render.html import PAGE_HTML
from dvc_render.vega import VegaRenderer
from PIL import Image

from handlens import figures, shipping
from handlens.figures import sheets, style

ROOT = Path(__file__).parent.parent
NAMES = {
    2: ["有 缺陷", "ok"],
    55: [
        f"{kind}_{thing}"
        for kind in ("可回收物", "厨余垃圾", "有害垃圾", "其他垃圾", "$a$ and 5$ {x} %")
        for thing in (
            *("鼠标", "塑料瓶", "充电宝", "旧衣服", "易拉罐", "茶叶渣", "电池", "软膏", "竹筷"),
            *("a very long name", "_x"),
        )
    ],
}  # fmt: skip
SQUARES = textures.squares(np.arange(12) % 3, 48)


def photos(count=300):
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "width": random.integers(20, 4000, count),
            "height": random.integers(20, 4000, count),
            "status": np.where(np.arange(count) % 9, "ok", "too_small"),
            "sharpness": random.lognormal(5, 1, count),
            "brightness": random.uniform(0, 255, count),
            "contrast": random.uniform(0, 90, count),
        }
    )


def counts(classes):
    steps = {step: np.arange(len(classes)) * 7 + 3 for step in ("filter", "augment", "balance")}
    return pd.DataFrame(steps, index=classes)


def matrix(classes):
    counts = np.random.default_rng(0).poisson(0.3, (len(classes), len(classes)))
    return counts + np.eye(len(classes), dtype=int) * 120


def curve(models, epochs=5):
    rows = [
        (f"model_{m}", split, epoch, 2 / epoch, 1 - 0.5 / epoch)
        for m in range(models)
        for split in ("train", "val")
        for epoch in range(1, epochs + 1)
    ]
    return pd.DataFrame(rows, columns=["model", "split", "epoch", "loss", "accuracy"])


def board(models):
    accuracy = np.linspace(0.9, 0.6, models)
    return pd.DataFrame(
        {
            "model": [f"model_{m}" for m in range(models)],
            "winner": np.arange(models) == models // 2,
            "accuracy": accuracy,
            "accuracy_low": accuracy - 0.04,
            "accuracy_high": accuracy + 0.03,
            "test_photos": 445,
            "latency_ms": np.linspace(9, 3, models),
            "weights_mb": np.linspace(4, 30, models),
            "pareto_latency_ms": True,
            "pareto_weights_mb": np.arange(models) == 0,
        }
    )


def bins():
    values = {"kind": ["as trained"] * 3 + ["temperature 1.42"] * 3, "confidence": [0.3, 0.6, 1.0] * 2}
    return pd.DataFrame({**values, "accuracy": [0.2, 0.5, 0.9] * 2, "photos": [1, 20, 300] * 2})


HEAT = np.linspace(0, 255, 12).reshape(3, 4).astype(np.uint8)


def exported(models):
    of_a_file = {"passed": False, "accuracy": 0.8, "accuracy_low": 0.76, "accuracy_high": 0.83}
    of_a_file |= {"agreement": 0.998, "megabytes": 8.9, "ms": 2.1, "latency_ratio": 0.3}
    files = {f"{kind}_{name}": v for kind in ("fp32", "int8") for name, v in of_a_file.items()}
    return shipping.table({f"model_{m}": {**files, "int8_megabytes": m + 1.0} for m in range(models)})


def guesses(count, heat=None):
    return [
        figures.Guess(
            SQUARES[i % 12], NAMES[55][i], 0.9, NAMES[55][-i], 0.1, i % 3 == 0, f"IMG {i}.jpg", heat
        )
        for i in range(count)
    ]


def suspects(count):
    names = NAMES[55]
    return [
        figures.Suspect(SQUARES[i % 12], names[i], 0.02, names[-i], 0.95, f"照片 {i}.jpg")
        for i in range(count)
    ]


GROUPS = [[(f"可回收物_鼠标/photo {i}.jpg", SQUARES[i]) for i in range(n)] for n in (2, 11, 3)]
DRAW = {
    "sizes": lambda path: figures.sizes(photos(), min_side=100, max_ratio=3.0, path=path),
    "one size": lambda path: figures.sizes(
        pd.DataFrame({"width": [300] * 9, "height": [300] * 9}), min_side=32, max_ratio=4.0, path=path
    ),
    "no photo": lambda path: figures.sizes(photos(0), min_side=32, max_ratio=4.0, path=path),
    "quality": lambda path: figures.quality(
        photos(), {"min_sharpness": 50.0, "min_brightness": 20.0, "max_brightness": 230.0}, path
    ),
    "quality without limits": lambda path: figures.quality(photos(), {"min_sharpness": None}, path),
    "quality of equal photos": lambda path: figures.quality(photos().iloc[[1] * 5], {}, path),
    "quality of nothing": lambda path: figures.quality(photos(0), {}, path),
    "counts 2": lambda path: figures.class_counts(counts(NAMES[2]), path),
    "counts 55": lambda path: figures.class_counts(counts(NAMES[55]), path),
    "confusion 2": lambda path: figures.confusion(matrix(NAMES[2]), NAMES[2], path, title="模型"),
    "confusion 55": lambda path: figures.confusion(matrix(NAMES[55]), NAMES[55], path, title="m"),
    "curves 1 epoch": lambda path: figures.curves(curve(1, 1), path),
    "curves 4": lambda path: figures.curves(curve(4), path),
    "curves 20": lambda path: figures.curves(curve(20), path),
    "leaderboard 1": lambda path: figures.leaderboard(board(1), path),
    "leaderboard 20": lambda path: figures.leaderboard(board(20), path),
    "trade-off 1": lambda path: figures.trade_off(board(1), path),
    "trade-off 20": lambda path: figures.trade_off(board(20), path),
    "files 1": lambda path: figures.files(exported(1), path),
    "files 9": lambda path: figures.files(exported(9), path),
    "no files": lambda path: figures.files(shipping.table({}), path),
    "reliability": lambda path: figures.reliability(bins(), path, title="m"),
    "no guesses": lambda path: figures.guesses([], path, title="m: no mistakes"),
    "guesses": lambda path: figures.guesses(guesses(11), path, title="m"),
    "guesses with heat": lambda path: figures.guesses(guesses(11, HEAT), path, title="m"),
    "suspects": lambda path: figures.suspects(suspects(11), path, title="m"),
    "no duplicates": lambda path: figures.duplicate_groups([], path),
    "duplicates": lambda path: figures.duplicate_groups(GROUPS, path),
}


@pytest.mark.parametrize("name", DRAW)
def test_a_figure_is_drawn_without_warnings_and_twice_the_same(name, tmp_path):
    """Warnings are errors here: a character without a glyph in any font is one."""
    DRAW[name](tmp_path / "new folder" / "a.png")
    DRAW[name](tmp_path / "b.png")
    assert (tmp_path / "new folder" / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "b.png") as image:
        assert set(image.info) <= {"dpi"}  # no date, no software version
        assert max(image.size) < 4000
        assert np.asarray(image.convert("L")).min() < 128  # something is drawn


def test_chinese_characters_are_drawn_by_the_packaged_font(tmp_path):
    """Two names of equal length that differ in one character give different pictures; boxes would not."""
    pictures = []
    for name in ("可回收物", "可回收器"):
        figures.class_counts(counts([name, "b"]), tmp_path / "c.png")
        pictures.append((tmp_path / "c.png").read_bytes())
    assert pictures[0] != pictures[1]


def test_confusion_shows_rows_as_given(tmp_path):
    """Transposing the counts changes the picture; so does the class order."""
    asked = [
        (np.array([[5, 1], [0, 5]]), NAMES[2]),
        (np.array([[5, 0], [1, 5]]), NAMES[2]),
        (np.array([[5, 1], [0, 5]]), NAMES[2][::-1]),
    ]
    for number, (counted, names) in enumerate(asked):
        figures.confusion(counted, names, tmp_path / f"{number}.png", title="m")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 3


def test_photos_stand_on_the_sheet_pixel_for_pixel(tmp_path):
    square = textures.squares(np.array([1]), sheets.TILE)[0]
    tiles = [sheets.Tile(square, [("caption", style.INK)], 1, 0)]
    sheets.contact_sheet(tiles, tmp_path / "s.png", title="t", columns=3)
    with Image.open(tmp_path / "s.png") as image:
        sheet = np.asarray(image.convert("RGB"))
    left = sheets.MARGIN + sheets.TILE + sheets.GAP
    inside = sheet[sheets.HEADER : sheets.HEADER + sheets.TILE, left : left + sheets.TILE]
    assert (inside == square).all()


def test_heat_glows_where_it_is_hot_and_leaves_the_photo_where_it_is_cold():
    photo = textures.squares(np.array([1]), 40)[0]
    heat = np.zeros((4, 4), np.uint8)
    heat[0, 0] = 255
    shown = sheets.heated(photo, heat)
    assert (shown[20:, 20:] == photo[20:, 20:]).all()
    assert np.abs(shown[:8, :8].astype(int) - photo[:8, :8]).mean() > 40


@pytest.mark.parametrize("text", [*NAMES[55], "", "a", "可回收物" * 20, "IMG_20240101_123456_0001.jpg" * 3])
@pytest.mark.parametrize("width", [4.0, 10.5, 40.0])
def test_shortened_text_fits_and_keeps_both_ends(text, width):
    short = style.shorten(text, width)
    assert style.ems(short) <= width
    if short != text:
        head, tail = short.split("…")
        assert text.startswith(head)
        assert text.endswith(tail)


def test_figures_start_without_the_heavy_libraries():
    heavy = {"torch", "scipy", "sklearn", "mplfonts"}
    code = f"import sys, handlens.figures; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- DVC plots ---

TEMPLATES = {
    # template: (x, y, a row of its data)
    "curves": ("epoch", "loss", {"model": "m", "split": "val", "epoch": "1", "loss": "0.5"}),
    "leaderboard": (
        "model", "accuracy",
        {"model": "m", "accuracy": "0.5", "accuracy_low": "0.4", "accuracy_high": "0.6"}),
    "confusion": (
        "predicted", "actual",
        {"model": "m", "actual": "甲", "predicted": "乙", "photos": "3", "share": "0.5"}),
    "reliability": (
        "confidence", "accuracy",
        {"model": "m", "kind": "as trained", "confidence": "0.5", "accuracy": "0.4"}),
    "relation": ("recall", "precision", {"model": "m", "recall": "0.5", "precision": "0.4"}),
}  # fmt: skip


def fields(node):
    """List all field names that a Vega-Lite specification uses."""
    if isinstance(node, dict):
        found = [node["field"]] if isinstance(node.get("field"), str) else []
        return found + [name for key, value in node.items() if key != "values" for name in fields(value)]
    return [name for value in node for name in fields(value)] if isinstance(node, list) else []


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_filled_with_the_columns_of_its_table(name):
    x, y, row = TEMPLATES[name]
    data = [{**row, "rev": rev} for rev in ("workspace", "HEAD")]
    renderer = VegaRenderer(
        data, "plot", template=name, x=x, y=y, title="t", template_dir=str(ROOT / ".dvc" / "plots")
    )
    spec = json.loads(renderer.partial_html())
    assert spec["data"]["values"] == data
    text = json.dumps(spec)
    assert "DVC_METRIC" not in text
    made = {step["as"] for step in spec.get("transform", []) if "as" in step}
    assert set(fields(spec)) <= {*row, "rev", *made, "at"}
    assert "rev" in fields(spec)  # revisions can be told apart in `dvc plots diff`


def test_every_template_is_tested():
    assert {path.stem for path in (ROOT / ".dvc" / "plots").glob("*.json")} == set(TEMPLATES)


def test_the_page_of_dvc_plots_loads_nothing():
    page = (ROOT / ".dvc" / "plots" / "page.html").read_text(encoding="utf-8")
    for placeholder in ("{plot_divs}", "{refresh_tag}"):
        assert placeholder in PAGE_HTML  # DVC still knows it
        assert page.count(placeholder) == 1
    assert "{scripts}" not in page  # DVC would put links to the internet there
    assert "<script src" not in page
    assert page.count("<script>") == 3
