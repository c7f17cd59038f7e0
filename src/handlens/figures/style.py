"""One look for all figures: fonts with Chinese glyphs, colours, sizes, reproducible PNG files."""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

DPI = 120  # pixels per inch of every PNG
FONT_FILE = "fonts/NotoSansCJKsc-Regular.otf"  # inside the package mplfonts; Latin letters look good too

# Okabe and Ito (2008), "Color universal design", in an order that keeps neighbours apart
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
COLOURS = (BLUE, VERMILION, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#555555")
INK, MUTED, GRID, SHADE = "#222222", "#666666", "#DDDDDD", "#EEEEEE"

STYLE: Any = {
    "font.family": ["Noto Sans CJK SC", "DejaVu Sans"],
    "font.size": 9,
    "text.parse_math": False,  # a class may be called "5$ and 10$"
    "text.color": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.unicode_minus": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


def register_font() -> None:
    """Make the packaged Noto Sans CJK SC known to matplotlib, without importing its package."""
    package = find_spec("mplfonts")
    assert package is not None, "mplfonts is a requirement of handlens"
    assert package.submodule_search_locations is not None
    font_manager.fontManager.addfont(Path(package.submodule_search_locations[0]) / FONT_FILE)


register_font()


@contextmanager
def drawing(path: Path, width: float, height: float, **options: Any) -> Iterator[Figure]:
    """Open a figure of `width` × `height` inches; on leaving, write it to `path` as a PNG.

    No date and no software version is written: the same data give the same bytes.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), **{"layout": "constrained", **options})
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=DPI, metadata={"Software": None})


def ems(text: str) -> float:
    """Estimate the width of `text` in units of the font size: CJK characters are twice as wide."""
    return sum(1.0 if unicodedata.east_asian_width(c) in "WF" else 0.56 for c in text)


def shorten(text: str, width: float) -> str:
    """Cut the middle out of `text` until it fits into `width` ems; both ends tell names apart."""
    text = " ".join(text.split())
    if ems(text) <= width:
        return text
    head, tail = text, ""
    keep = width - 1.0  # the ellipsis
    while ems(head) > keep * 0.6:
        head = head[:-1]
    for character in reversed(text):
        if ems(head + character + tail) > keep:
            break
        tail = character + tail
    return f"{head}…{tail}"


def label_inches(labels: list[str], font_size: float = 9) -> float:
    """Estimate the width of the widest label in inches (72 points each)."""
    return max((ems(label) for label in labels), default=0.0) * font_size / 72


def colours(count: int) -> list[Any]:
    """Give `count` colours: the seven safest ones, or equal steps of a map when seven are too few."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return [matplotlib.colormaps["turbo"](place) for place in np.linspace(0.05, 0.95, count)]


def glow(heat: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colour heat (h, w) to lie over a photo: (h, w, 4) RGBA, clear where cold, at most 60 % opaque."""
    coloured = matplotlib.colormaps["plasma"](heat / 255, bytes=True)
    coloured[..., 3] = (0.6 * 255 * (heat / 255) ** 1.5).round()
    return np.asarray(coloured, np.uint8)


def bare(axes: Axes, *, grid: str = "x") -> None:
    """Leave only the grid along one axis and the values: for bars with names."""
    axes.grid(visible=False)
    axes.grid(visible=True, axis="x" if grid == "x" else "y")
    axes.tick_params(length=0)
    axes.spines["left" if grid == "x" else "bottom"].set_color(MUTED)
    axes.spines["bottom" if grid == "x" else "left"].set_visible(False)
