"""The Android app, built and signed without Gradle: what is in it, and its page in Chromium."""

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile

import browser
import framework
import numpy as np
import phone
import pytest
from browser import opened

ORIGIN = "https://handlens.invalid/"


@pytest.fixture(scope="module")
def apk(food, tmp_path_factory):
    """Build the app around the bundle of the page's tests."""
    out = tmp_path_factory.mktemp("apk") / "手机 app.apk"
    command = [phone.ROOT / "android" / "build.sh", food.folder, out]
    built = subprocess.run(
        command, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    return out


@pytest.fixture(scope="module")
def dex(apk, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dex")
    with zipfile.ZipFile(apk) as archive:
        archive.extract("classes.dex", folder)
    return framework.read_dex(folder / "classes.dex")


def badging(apk):
    return subprocess.run(["aapt", "dump", "badging", apk], capture_output=True, text=True, check=True).stdout


def test_badging(apk):
    text = badging(apk)
    assert re.findall(r"uses-permission[^:]*: name='([^']+)'", text) == ["android.permission.CAMERA"]
    assert "package: name='app.handlens'" in text
    assert "sdkVersion:'23'" in text
    assert "targetSdkVersion:'35'" in text
    assert "launchable-activity: name='app.handlens.MainActivity'" in text
    assert "uses-feature-not-required: name='android.hardware.camera'" in text
    assert "debuggable" not in text


def test_signatures(apk):
    command = ["apksigner", "verify", "--verbose", "--min-sdk-version", "23", apk]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for scheme in ("v1 scheme (JAR signing)", "v2 scheme", "v3 scheme"):
        assert re.search(rf"Verified using {re.escape(scheme)}.*: true", text), text
    subprocess.run(["zipalign", "-c", "4", apk], check=True)


def test_the_files_inside_are_those_of_the_bundle(apk, food):
    """The model in the app is the one that the pipeline made, byte by byte."""
    with zipfile.ZipFile(apk) as archive:
        inside = {
            name.removeprefix("assets/"): archive.read(name)
            for name in archive.namelist()
            if "assets/" in name
        }
    outside = {
        path.relative_to(food.folder).as_posix(): path.read_bytes() for path in food.folder.rglob("*.*")
    }
    assert inside == outside
    for path in food.exports.glob("*.onnx"):
        digest = hashlib.sha256(path.read_bytes()).digest()
        assert hashlib.sha256(inside[f"models/{path.name}"]).digest() == digest


def test_every_framework_call_exists(dex):
    calls = set(framework.framework_calls(dex))
    assert len(calls) >= 25
    assert [call for call in sorted(calls) if not framework.exists(*call)] == []


def test_every_overridden_method_exists(dex):
    """Methods with the name of a callback must be callbacks: the stubs we compile against could be wrong."""
    inherited = [
        (own.parent, name, parameters)
        for own in dex.values()
        for name, parameters in own.methods
        if own.parent.startswith("Landroid/") and re.match(r"on[A-Z]|should[A-Z]", name)
    ]
    assert len(inherited) >= 8
    assert [each for each in inherited if not framework.exists(*each)] == []


def test_a_call_that_does_not_exist_is_found():
    assert framework.exists("Landroid/webkit/WebView;", "loadUrl", "Ljava/lang/String;")
    assert not framework.exists("Landroid/webkit/WebView;", "loadUrl", "I")
    assert not framework.exists("Landroid/webkit/WebView;", "loadPage", "Ljava/lang/String;")
    assert not framework.exists("Landroid/webkit/WebVue;", "loadUrl", "Ljava/lang/String;")


def test_missing_bundle_is_said(tmp_path):
    command = [phone.ROOT / "android" / "build.sh", tmp_path, tmp_path / "out.apk"]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 1
    assert "holds no app; run 'dvc repro app' first" in built.stderr


def test_page_out_of_the_app_passes_the_camera_test(apk, food, order, with_camera):
    """Chromium gets the page from the signed app, under the app's own origin, as the web view does."""
    java = (phone.ROOT / "android/app/src/main/java/app/handlens/Page.java").read_text(encoding="utf-8")
    types = dict(re.findall(r'\{"(\.\w+)", "([\w/+]+)"\}', java))
    types |= {".onnx": "application/octet-stream", ".bin": "application/octet-stream"}
    archive = zipfile.ZipFile(apk)
    names = set(archive.namelist())

    def answer(route):
        name = "assets/" + route.request.url.removeprefix(ORIGIN).split("?")[0]
        if name in names:
            route.fulfill(body=archive.read(name), content_type=types["." + name.rsplit(".", 1)[1]])
        else:
            route.fulfill(status=404)

    preferred = json.loads(archive.read("assets/app.json"))["preferred"]
    probabilities = food.predictions(preferred)[order]
    limit = phone.threshold(food)
    clear = phone.clear_answers(probabilities, limit, preferred)
    wanted = phone.answers(food, probabilities, limit)
    route = ("**/*", answer)
    with opened(with_camera, ORIGIN, path="index.html?app", script=browser.LISTEN, route=route) as page:
        page.wait(lambda: page.page.evaluate("Object.keys(window.said).length") == len(order), seconds=60)
        page.wait_verified()
        said = page.page.evaluate("window.said")
        assert {i: said[str(i)] for i in np.flatnonzero(clear)} == {
            i: wanted[i] for i in np.flatnonzero(clear)
        }
    archive.close()
