"""The report on a real run with Chinese class names, in a real Chromium without a network."""

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import browser
import numpy as np
import pytest
from browser import DESKTOP, PHONE
from PIL import Image
from project import CLASSES, TINY, Project, make_project, solar_photos

from handlens.report import charts, thumbs

pytestmark = pytest.mark.e2e
SECTIONS = ["photos", "models", "scores", "robustness", "mistakes", "labels", "phone", "gate", "card"]


def spoil(raw: Path) -> None:
    """Add what a real folder has: copies, a photo in two classes, small ones, files without a photo."""
    ok, defect = raw / CLASSES["mono-ok"], raw / CLASSES["mono-defect"]
    photos = sorted(ok.glob("*.png"))
    shutil.copyfile(photos[0], ok / "same again.png")
    shutil.copyfile(photos[1], defect / "另一类 <also> here.png")
    with Image.open(photos[2]) as photo:
        photo.convert("L").save(ok / "saved again.jpg", quality=90)
        photo.resize((20, 20)).save(ok / "thumb.png")
        photo.crop((0, 0, 300, 40)).save(defect / "strip.png")
    (defect / "notes.jpg").write_text("not a photo")
    (defect / "cut.png").write_bytes(photos[3].read_bytes()[:2000])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, solar: Path) -> Project:
    """A project in which the whole pipeline ran once and the report was written."""
    project = make_project(tmp_path_factory.mktemp("report"), {**TINY, "filter": {"min_side": 32}})
    raw = project.folder / "data/raw"
    solar_photos(solar, 24, raw)
    spoil(raw)
    project.repro()
    done = project.run("handlens", "report")
    assert re.fullmatch(r"report\.html: \d+\.\d MB\. Open it in any browser\.\n", done.stdout)
    return project


@pytest.fixture(scope="module")
def page(project: Project) -> Path:
    return project.folder / "report.html"


@pytest.fixture
def shown(play, page):
    """Give what opens the report from the file, offline; nothing may be asked of any network."""
    with browser.browser(play) as started:

        def show(viewport=DESKTOP, scheme="light"):
            context = started.new_context(viewport=viewport, color_scheme=scheme, offline=True)
            opened = context.new_page()
            context.on("request", lambda request: asked.append(request.url))
            opened.on("console", lambda message: complaints.append(message.text))
            opened.goto(page.as_uri())
            return opened

        asked: list[str] = []
        complaints: list[str] = []
        yield show
        assert [url for url in asked if not url.startswith(("data:", page.as_uri()))] == []
        assert complaints == []


def test_the_page_is_one_small_file_that_git_ignores(project, page):
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 3e6
    assert re.findall(r"""(?:src|href)=["'](?!data:|#)""", text) == []
    assert "http" not in re.sub(r"data:[^\"')]+|http-equiv", "", text)
    assert project.run("git", "status", "--porcelain", "report.html").stdout == ""


def test_the_same_run_gives_the_same_page_wherever_it_is_written(project, page):
    project.run("handlens", "report", "--out", "elsewhere/again.html")
    assert (project.folder / "elsewhere/again.html").read_bytes() == page.read_bytes()


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP, {"width": 320, "height": 568}], ids=str)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_fits_and_every_picture_is_there(shown, viewport, scheme):
    opened = shown(viewport, scheme)
    assert opened.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    pictures = opened.evaluate("Array.from(document.images, (image) => [image.naturalWidth, image.alt])")
    assert len(pictures) > 40
    assert all(width > 0 and text for width, text in pictures)
    assert opened.locator("main section").evaluate_all("(all) => all.map((each) => each.id)") == SECTIONS
    paper = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(shown, axe, scheme):
    opened = shown(PHONE, scheme)
    opened.evaluate(axe)
    opened.locator("details").evaluate_all("(all) => all.forEach((each) => { each.open = true; })")
    found = opened.evaluate("axe.run()")["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found] == []


def test_headings_descend_one_step_at_a_time(shown):
    levels = shown().locator("h1, h2, h3, h4").evaluate_all("(all) => all.map((each) => +each.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_chinese_names_come_with_their_letters(shown):
    opened = shown()
    assert opened.evaluate("document.fonts.load('16px \"Handlens Han\"', '单晶缺陷')").__len__() == 1
    width = """(all) => all.map((each) => {
      const range = document.createRange();
      range.selectNodeContents(each);
      return range.getBoundingClientRect().width / parseFloat(getComputedStyle(each).fontSize);
    })"""
    for name in CLASSES.values():
        places = opened.get_by_role("rowheader", name=name, exact=True)
        assert places.count() >= 3
        widths = places.evaluate_all(width)  # boxes of missing letters are of another width
        assert max(widths) - min(widths) < 0.2


def test_the_keyboard_reaches_everything(shown):
    opened = shown(PHONE)
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.textContent") == "Skip to the contents"
    glow = opened.locator(".glow").first
    assert glow.is_visible()
    opened.locator("input.heat").focus()
    opened.keyboard.press("Space")
    assert not glow.is_visible()
    scrolled = "(all) => all.filter((each) => each.scrollWidth > each.clientWidth && !each.matches('.photo'))"
    assert opened.locator("main div").evaluate_all(f"{scrolled}.every((each) => each.tabIndex === 0)")


def test_what_was_dropped_is_shown_with_its_reason(shown):
    opened = shown()
    headings = opened.locator("#photos h4").all_text_contents()
    wanted = {"too_small", "too_elongated", "conflicting_label", "exact_duplicate"}
    wanted |= {"not_a_photo", "truncated"}
    assert wanted <= {heading.split(" × ")[1] for heading in headings}
    text = opened.locator("#photos").inner_text()
    assert "另一类 <also> here.png" in text
    assert "groups of copies and near-copies" in text
    assert opened.locator("#photos .none").count() == 2  # the two files that have no pixels


def test_the_numbers_are_those_of_the_run(shown, project):
    opened = shown()
    board = project.run("handlens", "compare", "--json").stdout
    gate = project.run("handlens", "gate", check=False).stdout
    for model in re.findall(r'"model":"(\w+)"', board.replace('": "', '":"')):
        assert opened.get_by_role("rowheader", name=model, exact=True).count() == 1
    assert opened.locator("#gate .verdict").first.inner_text() == gate.splitlines()[-1].split(":")[0]
    photos = opened.locator("#photos tr.total td").all_inner_texts()
    assert int(photos[0]) == sum(1 for path in (project.folder / "data/raw").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "product",
    [
        "data/filter.csv", "data/scan/photos.parquet", "data/scan/pixels", "data/inspection/WINNER/heat.npy",
        "data/label_errors/WINNER.csv", "metrics/compare.json", "metrics/export/small.json",
        "plots/compare.csv", "plots/evaluate/WINNER/classes.csv", "models/WINNER/model.json",
        "data/contract.json",
    ],
)  # fmt: skip
def test_a_missing_product_is_one_sentence(project, product):
    winner = re.search(r'"winner": "(\w+)"', (project.folder / "metrics/compare.json").read_text())
    assert winner is not None
    path = project.folder / product.replace("WINNER", winner[1])
    path.rename(path.with_name("away"))
    done = project.run("handlens", "report", "--out", "not.html", check=False)
    path.with_name("away").rename(path)
    assert done.returncode == 1
    assert re.fullmatch(r"handlens: .*(dvc repro|dvc pull).*\n", done.stderr)
    assert path.name in done.stderr
    assert not (project.folder / "not.html").exists()


def test_a_folder_without_a_project_is_one_sentence(tmp_path):
    done = subprocess.run(["handlens", "report"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(r"handlens: params\.yaml is missing.*\n", done.stderr)


# --- parts ---


@pytest.mark.parametrize(
    ("place", "words"), [((0, 0), "upper left"), ((2, 2), "lower right"), ((1, 1), "middle"), ((0, 1), "top")]
)
def test_the_place_of_heat_in_words(place, words):
    heat = np.zeros((3, 3), np.uint8)
    assert thumbs.hottest(heat) == ""
    heat[place] = 9
    assert thumbs.hottest(heat) == words
    assert thumbs.hottest(np.kron(heat, np.ones((5, 5), np.uint8))) == words


def test_ticks_are_round_and_inside():
    axis = charts.y_axis(0.37, 0.94)
    ticks = axis.ticks()
    assert [text for _, text in ticks] == ["0.4", "0.6", "0.8"]
    heights = [place for place, _ in ticks]
    assert heights == sorted(heights, reverse=True)
    assert all(charts.TOP <= place <= charts.HEIGHT - charts.BOTTOM for place in heights)


def test_models_beyond_the_palette_share_a_colour():
    given = charts.colours([f"m{number}" for number in range(9)])
    assert list(given.values()) == [0, 1, 2, 3, 4, 5, 6, 6, 6]
