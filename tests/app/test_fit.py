"""fit.js against `photos.fit`, and smoothing.js, run by Chromium."""

import base64

import cv2
import numpy as np
import pytest
from browser import opened

from handlens import photos

# width, height: enlarged, shrunk by whole and broken factors, narrower and wider than the square, one px
SIZES = [
    (50, 40),
    (96, 96),
    (192, 192),
    (288, 192),
    (300, 200),
    (101, 97),
    (640, 480),
    (500, 60),
    (7, 300),
    (1, 1),
]
FIT = """async ([text, width, height, size, fit]) => {
  const { fitted } = await import("./fit.js");
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const rows = (y, count) => bytes.subarray(y * width * 4, (y + count) * width * 4);
  const square = fitted({ width, height, rows }, size, fit);
  return btoa(Array.from(square, (byte) => String.fromCharCode(byte)).join(""));
}"""


@pytest.mark.parametrize("fit", ["letterbox", "crop", "squash"])
@pytest.mark.parametrize("size", [96, 224])
def test_fit_is_pythons(food, without_camera, site, fit, size):
    """At most 1 grey value apart, where rounding decides: 4 bytes in 1,000, or 20 when enlarged manyfold."""
    photo = photos.read(food.raw / food.test["path"][3], transparency="black", max_megapixels=50).rgb
    with opened(without_camera, site) as page:
        for width, height in SIZES:
            rgb = cv2.resize(photo, (width, height))
            rgba = np.dstack([rgb, np.full((height, width), 255, np.uint8)])
            text = base64.b64encode(rgba.tobytes()).decode()
            ours, _ = photos.fit(rgb, size, fit)
            given = base64.b64decode(page.page.evaluate(FIT, [text, width, height, size, fit]))
            theirs = np.frombuffer(given, np.uint8)
            difference = np.abs(theirs.reshape(ours.shape).astype(int) - ours)
            assert difference.max() <= 1, (width, height)
            share = 0.02 if min(width, height) * 10 < size else 0.004
            assert (difference > 0).mean() <= share, (width, height)


SMOOTH = """async ([threshold, frames]) => {
  const { Smoother } = await import("./smoothing.js");
  const smoother = new Smoother(threshold);
  return frames.map(([time, change, ...probabilities]) => {
    const { label, sure } = smoother.add(probabilities, change, time);
    return [label, sure];
  });
}"""


def smoothed(page, frames, limit=0.6):
    return [tuple(each) for each in page.page.evaluate(SMOOTH, [limit, frames])]


def test_labels_are_calm_and_quick(without_camera, site):
    with opened(without_camera, site) as page:
        # one bad frame among good ones changes nothing
        frames = [[40 * i, 3, 0.9, 0.1] if i != 10 else [400, 3, 0.2, 0.8] for i in range(20)]
        assert set(smoothed(page, frames)) == {(0, True)}
        # two nearly equal classes do not take turns
        frames = [[40 * i, 3, 0.5 + 0.03 * (-1) ** i, 0.5 - 0.03 * (-1) ** i] for i in range(40)]
        assert {label for label, _ in smoothed(page, frames)} == {0}
        # another scene is named at once
        assert smoothed(page, [[0, 3, 0.9, 0.1], [40, 60, 0.1, 0.9]]) == [(0, True), (1, True)]
        # the same scene turning into another class is named within a second
        frames = [[0, 3, 0.9, 0.1], *[[40 * i, 3, 0.1, 0.9] for i in range(1, 26)]]
        assert smoothed(page, frames)[-1] == (1, True)
        # around the threshold, sure stays sure and unsure stays unsure
        frames = [[40 * i, 3, 0.62 - 0.04 * (i % 2), 0.38 + 0.04 * (i % 2)] for i in range(30)]
        assert len({sure for _, sure in smoothed(page, frames)}) == 1


def test_placement_is_pythons(without_camera, site):
    script = """async (sizes) => {
      const { placement } = await import("./fit.js");
      return sizes.map(([w, h, size]) => placement(w, h, size, "letterbox").target);
    }"""
    rng = np.random.default_rng(0)
    sizes = [[int(w), int(h), int(s)] for w, h, s in rng.integers(1, [5000, 5000, 400], (500, 3))]
    with opened(without_camera, site) as page:
        found = page.page.evaluate(script, sizes)
    wanted = [photos.placed(w, h, s, "letterbox")._asdict() for w, h, s in sizes]
    assert found == wanted


def test_the_twin_reads_bands_and_tiles(without_camera, site):
    """A photo wider than a tile and higher than a band comes out as from one array."""
    script = """async ([width, height]) => {
      const { pixelsOf } = await import("./pictures.js");
      const canvas = new OffscreenCanvas(width, height);
      const context = canvas.getContext("2d");
      for (let x = 0; x < width; x += 50) {
        context.fillStyle = `rgb(${x % 256}, ${(x * 7) % 256}, ${(x * 3) % 256})`;
        context.fillRect(x, x % height, 50, height);
      }
      const source = pixelsOf(canvas, "black");
      const whole = context.getImageData(0, 0, width, height).data;
      const rows = source.rows(10, 70);
      let wrong = 0;
      for (let i = 0; i < rows.length; i++) if (i % 4 < 3) {
        const alpha = whole[10 * width * 4 + i - (i % 4) + 3];
        wrong += rows[i] !== (alpha ? whole[10 * width * 4 + i] : 0);
      }
      return [rows.length, wrong];
    }"""
    with opened(without_camera, site) as page:
        assert page.page.evaluate(script, [4500, 100]) == [4500 * 70 * 4, 0]
