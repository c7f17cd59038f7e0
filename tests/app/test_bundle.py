"""Making, checking and serving the bundle, without a browser."""

import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from io import BytesIO
from pathlib import Path

import browser
import numpy as np
import pandas as pd
import phone
import pytest
from fontTools.ttLib import TTFont
from typer.testing import CliRunner

from handlens import cli
from handlens.app import bundle, checking, glyphs, packages, serving, threshold
from handlens.contract import Contract
from handlens.errors import UserError


@pytest.fixture
def copy(food, tmp_path):
    shutil.copytree(food.folder, tmp_path / "app")
    return tmp_path / "app"


@pytest.mark.parametrize("precision", [0.7, 0.8, 0.9])
def test_threshold_is_the_least_that_is_right_often_enough(precision):
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.2, 1, 400).round(3)
    right = rng.uniform(0, 1, 400) < confidence
    enough = [t for t in np.unique(confidence) if right[confidence >= t].mean() >= precision]
    found = threshold.choose(confidence, right, precision=precision)
    assert found.value == pytest.approx(min(enough))
    assert found.precision == pytest.approx(right[confidence >= found.value].mean(), abs=1e-4)
    assert found.share == pytest.approx((confidence >= found.value).mean(), abs=1e-4)


def test_threshold_of_a_model_that_is_always_right_is_what_it_usually_reaches():
    confidence = np.linspace(0.5, 1.0, 101)
    found = threshold.choose(confidence, np.ones(101, bool), precision=0.9)
    assert found.value == pytest.approx(0.51)


def test_threshold_out_of_reach_is_the_best_there_is():
    found = threshold.choose(np.full(20, 0.3), np.arange(20) % 2 == 0, precision=0.99)
    assert (found.value, found.precision, found.share) == (0.3, 0.5, 1.0)


def test_font_has_the_letters_and_little_else():
    content = glyphs.font_with(["水果", "abc"])
    assert content == glyphs.font_with(["abc", "果水"])
    letters = set(TTFont(BytesIO(content)).getBestCmap())
    assert {ord("水"), ord("果"), ord("a")} <= letters
    assert len(letters) < 10
    assert len(content) < 20_000


def test_check_replays_everything(food):
    lines = list(checking.check(food.folder))
    assert len(lines) == 6
    assert sum("golden vectors" in line for line in lines) == 4


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda app: (app / "models" / "fp32.onnx").unlink(), ["fp32.onnx is missing"]),
        (lambda app: (app / "notes.txt").write_text("x"), ["notes.txt is not part of the app"]),
        (lambda app: (app / "style.css").write_text("x"), ["style.css was changed"]),
        (lambda app: (app / "app.json").unlink(), ["holds no app"]),
        (lambda app: (app / "app.json").write_text("{"), ["app.json is damaged"]),
    ],
)
def test_check_finds_damage(copy, damage, words):
    damage(copy)
    with pytest.raises(UserError) as error:
        list(checking.check(copy))
    assert all(word in str(error.value) for word in words)


def test_check_finds_an_address_elsewhere(copy):
    (copy / "app.js").write_text("fetch('https://example.com/collect')")
    with pytest.raises(UserError, match=r"names another host, https://example\.com"):
        checking.check_own_origin(copy)


def test_check_finds_a_model_that_answers_otherwise(copy):
    settings = checking.read_settings(copy)
    golden = json.loads((copy / "golden.json").read_text())
    content = bytearray((copy / "golden.bin").read_bytes())
    at = golden["arrays"]["fp16"]["offset"]
    content[at : at + 4] = np.float32(0.5).tobytes()
    (copy / "golden.bin").write_bytes(content)
    with pytest.raises(UserError, match=r"fp16\.onnx gives other answers"):
        list(checking.check_models(copy, settings, Contract.load(copy / "contract.json")))


def test_commands(food, tmp_path):
    run = CliRunner().invoke
    assert "golden vectors" in run(cli.app, ["app", "check", str(food.folder)]).output
    failed = run(cli.app, ["app", "serve", str(tmp_path)])
    assert isinstance(failed.exception, UserError)
    assert "holds no app" in str(failed.exception)


def test_serving_from_the_command_line(food):
    command = [Path(sys.executable).parent / "handlens", "app", "serve", food.folder, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        with urllib.request.urlopen(line.split()[0]) as response:
            assert b"<title>handlens" in response.read()
        process.terminate()


def test_headers_and_not_modified(food):
    with browser.served(food.folder) as address:
        with urllib.request.urlopen(address + "ort/ort-wasm-simd-threaded.wasm") as response:
            assert response.headers["Content-Type"] == "application/wasm"
            assert {name: response.headers[name] for name in serving.HEADERS} == serving.HEADERS
            etag = response.headers["ETag"]
        again = urllib.request.Request(
            address + "ort/ort-wasm-simd-threaded.wasm", headers={"If-None-Match": etag}
        )
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(again)
        assert answer.value.code == 304
        answer.value.close()
        for path in ("nothing.js", "models/", "../export/fp32.onnx"):
            with pytest.raises(urllib.error.HTTPError) as answer:
                urllib.request.urlopen(address + path)
            assert answer.value.code == 404
            answer.value.close()


def test_page_and_server_state_the_same_policy():
    """`frame-ancestors` counts in headers only."""
    page = (phone.ROOT / "web" / "index.html").read_text()
    policy = serving.HEADERS["Content-Security-Policy"].removesuffix("; frame-ancestors 'none'")
    assert f'content="{policy}"' in page


def test_a_taken_port_is_said(food):
    with serving.server(food.folder, 0) as server, pytest.raises(UserError, match="Choose another: --port"):
        serving.server(food.folder, server.server_port)


def test_stage_measures_the_bundle(food):
    assert food.numbers["sure_precision"] >= 0.9
    assert 0 < food.numbers["threshold"] < 1
    assert food.numbers["megabytes_gzip"] < food.numbers["megabytes"]


def test_stage_gives_the_same_bytes_again(food, tmp_path):
    again = phone.run_stage(food.root, tmp_path / "app")
    first, second = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.*")}
        for root in (food.folder, again)
    )
    assert first == second


def test_the_app_offers_the_files_that_are_listed(food):
    winner = bundle.Winner(
        model=food.model, exports=food.exports, card={}, scores={}, parity={}, predictions=pd.DataFrame()
    )
    offered = bundle.exported(winner, food.contract, ["int8_weights", "fp16"])
    assert [file.kind for file in offered] == ["fp16", "int8_weights"]
    assert len(bundle.exported(winner, food.contract, None)) == 4
    with pytest.raises(UserError, match=r"app\.files lists \['fp8'\], but of mobilenet_v2 only"):
        bundle.exported(winner, food.contract, ["fp8"])


def test_winner_that_is_not_exported():
    with pytest.raises(UserError, match=r"Add resnet18 to export\.models"):
        bundle.require_exported("resnet18", ["mobilenet_v2"])


def test_missing_npm_is_said(tmp_path, monkeypatch):
    shutil.copy(phone.ROOT / "web" / "package.json", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="npm is missing"):
        packages.install(tmp_path)


def test_listing_holds_every_file(food):
    listing = (food.folder / "listing.js").read_text()
    files = {path.relative_to(food.folder).as_posix() for path in food.folder.rglob("*.*")}
    listed = json.loads(listing.removeprefix("self.LISTING = ").strip().removesuffix(";"))
    assert files - set(listed["files"]) == {"listing.js", "sw.js"}
    models = [path for path in listed["core"] if path.startswith("models/")]
    assert models == [f"models/{food.numbers['preferred']}.onnx"]  # the others are kept once they are chosen


def test_webgpu_comes_with_its_runtime_only():
    plain = packages.runtime(phone.ROOT / "web", webgpu=False)
    both = packages.runtime(phone.ROOT / "web", webgpu=True)
    assert set(plain) < set(both)
    assert not any("jspi" in path for path in plain)
