"""The page in a real Chromium: camera, photos, problems, offline, looks."""

import hashlib
import json
import re
import shutil

import browser
import numpy as np
import phone
import pytest
from browser import DESKTOP, PHONE, opened, served
from PIL import Image

from handlens.app import bundle


@pytest.fixture
def broken_site(food, tmp_path):
    """A copy of the bundle to damage, and its address."""
    folder = tmp_path / "app"
    shutil.copytree(food.folder, folder)
    with served(folder) as address:
        yield folder, address


@pytest.mark.parametrize("kind", ["fp32", "fp16", "int8_weights", "int8"])
def test_camera_shows_pythons_predictions(food, order, with_camera, site, kind):
    probabilities = food.predictions(kind)[order]
    limit = phone.threshold(food)
    clear, wanted = phone.clear_answers(probabilities, limit, kind), phone.answers(food, probabilities, limit)
    assert clear.sum() >= 40
    assert len(set(food.test["label"].iloc[order])) == 5
    with opened(
        with_camera, site, script=f"localStorage.setItem('kind', '{kind}');" + browser.LISTEN
    ) as page:
        page.wait(lambda: page.page.evaluate("Object.keys(window.said).length") == len(order), seconds=120)
        said = page.page.evaluate("window.said")
        shown = {i: said[str(i)] for i in np.flatnonzero(clear)}
        assert shown == {i: wanted[i] for i in np.flatnonzero(clear)}


def test_first_label_and_self_test(with_camera, site):
    with opened(with_camera, site) as page:
        page.wait(lambda: page.text("#percent").endswith("%"))
        page.wait_verified()
        assert page.state == "live"
        assert page.page.evaluate("crossOriginIsolated")  # threads are allowed
        assert re.search(r"\d+ ms", page.text("#speed"))
        page.page.click("#open-sheet")
        assert "reference photos give its answers" in page.text("#test-text")
        assert page.page.locator(".kind").count() == 4
        assert "MB" in page.text("#kinds")


def test_freezing_and_going_on(with_camera, site):
    with opened(with_camera, site) as page:
        page.wait_state("live")
        page.wait_verified()
        page.page.keyboard.press(" ")
        page.wait_state("still")
        label = page.text("#label") + page.text("#percent")
        page.page.wait_for_timeout(600)
        assert page.text("#label") + page.text("#percent") == label
        assert page.text("#freeze-text") == "Live"
        page.page.click("#freeze")
        page.wait_state("live")


def test_main_thread_is_never_blocked_for_long(with_camera, site):
    """No task of the live page works for 50 ms: processor time, since a busy machine may hold any task up."""
    with opened(with_camera, site) as page:
        page.wait_verified()
        with_camera.start_tracing(page=page.page, categories=["toplevel", "__metadata"])
        page.page.wait_for_timeout(3000)
        events = json.loads(with_camera.stop_tracing())["traceEvents"]
    named = [event for event in events if event["name"] == "thread_name"]
    main = {(event["pid"], event["tid"]) for event in named if event["args"]["name"] == "CrRendererMain"}
    tasks = [
        event["tdur"] / 1000 for event in events if "tdur" in event and (event["pid"], event["tid"]) in main
    ]
    assert len(tasks) > 30  # a task or more per shown frame
    assert max(tasks) < 50


def test_photos_say_what_python_says(food, without_camera, site):
    """Original files of all classes: other sizes, decoded by the browser, fitted by fit.js."""
    chosen = [int(i) for i in food.test.groupby("label").head(3).index]
    paths = [food.raw / food.test["path"][i] for i in chosen]
    preferred = json.loads((food.folder / "app.json").read_text())["preferred"]
    probabilities = food.predictions(preferred)[chosen]
    wanted, clear = (
        phone.answers(food, probabilities, phone.threshold(food)),
        phone.clear_answers(probabilities, phone.threshold(food), preferred),
    )
    with opened(without_camera, site) as page:
        page.wait_verified()
        page.page.set_input_files("#files", paths)
        page.wait(lambda: page.page.locator("#cards li:not([aria-busy])").count() == len(paths))
        shown = page.page.locator("#cards strong").all_text_contents()
        assert [shown[i] for i in np.flatnonzero(clear)] == [wanted[i] for i in np.flatnonzero(clear)]
        assert clear.sum() >= 10
        assert page.text("#gallery-title") == f"{len(paths)} photos"
        page.page.locator("#cards button").nth(int(np.flatnonzero(clear)[0])).click()
        page.wait_state("still")
        assert page.text("#label") == wanted[int(np.flatnonzero(clear)[0])]


def pixels_in_page(page, data):
    """Decode and fit a file as the page does; gives (S, S, 3)."""
    script = """async ([bytes, size]) => {
      const { bitmapOf, pixelsOf } = await import("./pictures.js");
      const { fitted } = await import("./fit.js");
      const bitmap = await bitmapOf(new Blob([Uint8Array.from(bytes)]));
      return Array.from(fitted(pixelsOf(bitmap, "black"), size, "letterbox"));
    }"""
    return np.array(page.page.evaluate(script, [list(data), 96]), np.uint8).reshape(96, 96, 3)


def test_orientation_transparency_and_formats(food, without_camera, site, tmp_path):
    """The page's pixels against Python's for every EXIF orientation and for PNG, WebP and GIF files."""
    source = Image.open(food.raw / food.test["path"][0]).convert("RGB").resize((150, 100))
    cases = {}
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        cases[f"exif{orientation}.jpg"] = {"exif": exif, "quality": 95}
    cases |= {"a.png": {}, "b.webp": {"lossless": True}, "c.gif": {}}
    with opened(without_camera, site) as page:
        for name, options in cases.items():
            source.save(tmp_path / name, **options)
            data = (tmp_path / name).read_bytes()
            difference = np.abs(pixels_in_page(page, data).astype(int) - phone.fitted(data, 96))
            assert difference.max() <= 2, name
        see_through = source.convert("RGBA")
        see_through.putalpha(Image.linear_gradient("L").resize(source.size))
        see_through.save(tmp_path / "alpha.png")
        data = (tmp_path / "alpha.png").read_bytes()
        assert np.abs(pixels_in_page(page, data).astype(int) - phone.fitted(data, 96)).max() <= 2


def test_files_that_are_no_photos(food, without_camera, site, tmp_path):
    good = food.raw / food.test["path"][0]
    (tmp_path / "text.jpg").write_text("this is a text")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:300])
    (tmp_path / "good.txt").write_bytes(good.read_bytes())  # content decides, not the name
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60000).to_bytes(4, "big") * 2
    (tmp_path / "bomb.png").write_bytes(header + b"\0" * 100)
    names = ["text.jpg", "empty.png", "cut.jpg", "good.txt", "bomb.png"]
    with opened(without_camera, site) as page:
        page.wait_verified()
        page.page.set_input_files("#files", [tmp_path / name for name in names])
        page.wait(lambda: page.page.locator("#cards li:not([aria-busy])").count() == len(names))
        titles = page.page.locator("#cards strong").all_text_contents()
        assert titles[0] == "This is not a photo."
        assert titles[1] == "The file is empty."
        assert "damaged" in titles[2]
        assert titles[3] in {*food.contract.classes, "Not sure"}
        assert titles[4] == "The photo is too large (60000 × 60000)."


def test_a_huge_photo(food, without_camera, site, tmp_path):
    """48 megapixels, read in bands."""
    Image.open(food.raw / food.test["path"][0]).convert("RGB").resize((8000, 6000)).save(
        tmp_path / "huge.jpg"
    )
    with opened(without_camera, site) as page:
        page.wait_verified()
        page.page.set_input_files("#files", [tmp_path / "huge.jpg"])
        page.wait_state("still")
        assert page.text("#percent").endswith("%")


def test_pasting_and_dropping(food, without_camera, site):
    data = list((food.raw / food.test["path"][0]).read_bytes())
    script = """([bytes, type]) => {
      const transfer = new DataTransfer();
      for (const name of ["one.jpg", "two.jpg"]) transfer.items.add(new File([Uint8Array.from(bytes)], name));
      const event = type === "paste" ? new ClipboardEvent(type, { clipboardData: transfer, bubbles: true })
                                     : new DragEvent(type, { dataTransfer: transfer, bubbles: true });
      document.body.dispatchEvent(event);
    }"""
    with opened(without_camera, site) as page:
        page.wait_verified()
        for count, kind in ((2, "paste"), (4, "drop")):
            page.page.evaluate(script, [data, kind])
            page.wait(lambda count=count: page.page.locator("#cards li:not([aria-busy])").count() == count)


def test_copying(with_camera, site):
    with opened(with_camera, site, permissions=["clipboard-read", "clipboard-write", "camera"]) as page:
        page.wait_verified()
        page.page.keyboard.press(" ")
        page.wait_state("still")
        page.page.click("#copy")
        page.wait(lambda: page.text("#toast") == "Copied")
        copied = page.page.evaluate("navigator.clipboard.readText()")
        assert copied == f"{page.text('#label')} {page.text('#percent')} (handlens)"


def test_no_camera(without_camera, site):
    with opened(without_camera, site) as page:
        page.wait_state("problem")
        assert "No camera was found" in page.text("#notice-text")
        assert page.page.locator("#notice-choose").is_visible()


def test_denied_camera(play, site, food, tmp_path):
    film = browser.film(list(food.squares[:2]), tmp_path / "film.y4m", fps=2)
    with browser.browser(play, camera=film, allow=False) as started, opened(started, site) as page:
        page.wait_state("problem")
        assert "not allowed" in page.text("#notice-text")
        page.wait_verified()  # photos can be used all the same
        page.page.set_input_files("#files", [food.raw / food.test["path"][0]])
        page.wait_state("still")


def test_unplugged_camera(with_camera, site):
    with opened(with_camera, site) as page:
        page.wait_state("live")
        unplug = "document.getElementById('video').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))"
        page.page.evaluate(unplug)
        page.wait_state("problem")
        assert "disconnected" in page.text("#notice-text")
        page.page.evaluate("navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
        page.wait_state("live")


def test_hidden_tab_gives_the_camera_back(with_camera, site):
    hide = """(hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    with opened(with_camera, site) as page:
        page.wait_state("live")
        page.page.evaluate(hide, True)
        assert page.page.evaluate("document.getElementById('video').srcObject") is None
        page.page.evaluate(hide, False)
        page.wait(lambda: page.page.evaluate("document.getElementById('video').srcObject !== null"))
        page.wait_state("live")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder, path: path.unlink(), "cannot be loaded"),
        (lambda folder, path: path.write_bytes(path.read_bytes()[:-9] + b"corrupted"), "damaged"),
        (lambda folder, path: (folder / "app.json").write_text("{"), "app.json is missing or damaged"),
        (lambda folder, path: (folder / "ort" / "ort.wasm.min.mjs").unlink(), "A part of this page"),
    ],
    ids=["missing", "corrupt", "settings", "runtime"],
)
def test_broken_bundles_say_so(with_camera, broken_site, damage, sentence):
    folder, address = broken_site
    preferred = json.loads((folder / "app.json").read_text())["preferred"]
    damage(folder, folder / "models" / f"{preferred}.onnx")
    with opened(with_camera, address, complaints=["404"]) as page:
        page.wait_state("problem")
        page.wait(lambda: sentence in page.text("#notice-text"))


def test_model_that_answers_otherwise_is_not_verified(with_camera, broken_site):
    """Golden vectors that another model gave: the page must not call itself verified."""
    folder, address = broken_site
    golden = json.loads((folder / "golden.json").read_text())
    settings = json.loads((folder / "app.json").read_text())
    content = bytearray((folder / "golden.bin").read_bytes())
    at = golden["arrays"][settings["preferred"]]["offset"]
    content[at : at + 4] = np.float32(0.5).tobytes()
    (folder / "golden.bin").write_bytes(content)
    settings["golden"][1]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "app.json").write_text(json.dumps(settings))
    with opened(with_camera, address) as page:
        page.wait(lambda: page.page.locator("#badge").get_attribute("data-state") == "failed")


def test_offline_after_the_first_visit(with_camera, food):
    with served(food.folder) as address:
        first = with_camera.new_context(locale="en-US")
        page = browser.Watched(first, address)
        page.page.goto(address)
        page.wait(lambda: page.text("#toast") == "Works offline")
    page.page.reload()  # the server is gone
    page.wait(lambda: page.text("#percent").endswith("%"))
    page.wait_verified()
    assert page.page.evaluate("crossOriginIsolated")
    assert page.foreign == []
    assert page.complaints == []
    first.close()


def test_a_new_version_is_offered(with_camera, broken_site):
    folder, address = broken_site
    with opened(with_camera, address) as page:
        page.wait(lambda: page.text("#toast") == "Works offline")
        index = folder / "index.html"
        index.write_text(index.read_text().replace("<title>handlens", "<title>newer"))
        listing = folder / "listing.js"
        old = json.loads(listing.read_text().removeprefix("self.LISTING = ").strip().removesuffix(";"))
        files = {path: (folder / path).read_bytes() for path in old["files"]}
        listing.write_bytes(
            bundle.listing(files, skip=[path for path in old["files"] if path not in old["core"]])
        )
        page.page.reload()
        page.wait(lambda: page.page.locator("#update").is_visible())
        newer = "fetch('index.html').then((it) => it.text()).then((page) => page.includes('<title>newer'))"
        with page.page.expect_event("load"):
            page.page.click("#update")
        assert page.page.evaluate(newer)


def test_chinese(without_camera, site):
    with opened(without_camera, site, language="zh-CN") as page:
        page.wait_state("problem")
        page.wait_verified()
        assert page.text("#badge") == "已验证"
        assert page.page.evaluate("document.documentElement.lang") == "zh-CN"
        assert not re.search(r"[A-Za-z]{3,}", page.page.inner_text("nav") + page.page.inner_text("#notice"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return phone.make_wide(tmp_path_factory.mktemp("wide"))


@pytest.mark.parametrize(
    "viewport", [PHONE, DESKTOP, {"width": 320, "height": 568}], ids=["phone", "desktop", "small"]
)
def test_55_classes_of_40_letters_fit_the_screen(with_camera, wide, viewport):
    with (
        served(wide.folder) as address,
        opened(with_camera, address, viewport=viewport, language="zh-CN") as page,
    ):
        page.wait(lambda: page.text("#percent").endswith("%"))
        page.wait(lambda: page.page.locator("#ranks li").count() == 3)
        width = page.page.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"]
        assert page.page.evaluate("document.fonts.check('16px \"Handlens Han\"', '天')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(with_camera, site, food, axe, scheme):
    """axe finds nothing: names of controls, contrast, landmarks, order of headings."""
    with opened(with_camera, site, color_scheme=scheme, reduced_motion="reduce") as page:
        page.wait_verified()
        page.page.evaluate(axe)
        found = page.page.evaluate("axe.run()")["violations"]
        page.page.set_input_files("#files", [food.raw / path for path in food.test["path"][:3]])
        page.wait(lambda: page.page.locator("#cards li:not([aria-busy])").count() == 3)
        page.page.click("#open-sheet")
        page.page.wait_for_timeout(300)
        found += page.page.evaluate("axe.run()")["violations"]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []


def test_large_touch_targets(with_camera, site):
    script = """() => Array.from(document.querySelectorAll("button, input[type=range], label.kind"))
      .map((element) => [element.id, element.getBoundingClientRect()])
      .filter(([, { width, height }]) => width && (height < 44 || width < 44)).map(([id]) => id)"""
    with opened(with_camera, site) as page:
        page.wait_verified()
        assert page.page.evaluate(script) == []
        page.page.click("#open-sheet")
        assert page.page.evaluate(script) == []


def test_installable(with_camera, site):
    """What Chromium itself asks of a page that can be installed."""
    with opened(with_camera, site) as page:
        page.wait(lambda: page.text("#toast") == "Works offline")
        session = page.context.new_cdp_session(page.page)
        found = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
        assert [each["errorId"] for each in found] == ["in-incognito"]  # the test's profile, not the page
        assert session.send("Page.getAppManifest")["errors"] == []
