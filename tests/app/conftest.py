"""One bundle, one film of its test photos, two browsers for all tests of the phone app."""

import browser
import numpy as np
import phone
import pytest
from playwright.sync_api import sync_playwright

from handlens.app import packages


@pytest.fixture(scope="package")
def play():
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def axe():
    """The script that looks for what keeps people from using a page."""
    packages.install(phone.ROOT / "web")
    return (phone.ROOT / "web/node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="package")
def food(tmp_path_factory):
    return phone.make(tmp_path_factory.mktemp("phone"))


@pytest.fixture(scope="package")
def order(food):
    """Test photos so ordered that the page sees a new scene at each (it averages over alike ones)."""
    left, chosen = list(range(1, len(food.squares))), [0]
    while left:
        last = food.squares[chosen[-1]].astype(float)
        far = [i for i in left if np.abs(food.squares[i] - last).mean() > browser.SCENE_CHANGE + 4]
        if not far:
            break
        chosen.append(far[0])
        left.remove(far[0])
    return chosen


@pytest.fixture(scope="package")
def with_camera(play, food, order, tmp_path_factory):
    film = tmp_path_factory.mktemp("film") / "film.y4m"
    browser.film([food.squares[i] for i in order], film, fps=8)
    with browser.browser(play, camera=film) as started:
        yield started


@pytest.fixture(scope="package")
def without_camera(play):
    with browser.browser(play) as started:
        yield started


@pytest.fixture(scope="package")
def site(food):
    with browser.served(food.folder) as address:
        yield address
