"""Line charts as numbers: everything that the template needs to write them as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 420, 280  # units of the view box, about px on a laptop
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 40
COLOURED = 6  # lines with a colour of their own; the others share one


@dataclass(frozen=True)
class Line:
    """A line: colour (0 to COLOURED), dashes or not, its points as "x,y x,y", and dots (x, y, radius)."""

    colour: int
    dashed: bool
    points: str
    dots: Sequence[tuple[float, float, float]] = ()


@dataclass(frozen=True)
class Chart:
    """A chart with its words for those who cannot see it; ticks are (place, text)."""

    title: str
    x_label: str
    summary: str
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    lines: Sequence[Line]


@dataclass(frozen=True)
class Axis:
    """A range of values and the units of the view box that it lies on."""

    low: float
    high: float
    start: float
    end: float

    def place(self, values: "pd.Series[float]") -> "pd.Series[float]":
        """Map values to units of the view box."""
        share = (values.astype(float) - self.low) / max(self.high - self.low, 1e-12)
        return (self.start + share * (self.end - self.start)).round(1)

    def ticks(self, *, whole: bool = False) -> list[tuple[float, str]]:
        """Choose about five round values."""
        found = MaxNLocator(5, integer=whole, steps=[1, 2, 5, 10]).tick_values(self.low, self.high)
        values = pd.Series(np.asarray(found, np.float64))
        inside = values[values.between(self.low - 1e-9, self.high + 1e-9)]
        return list(zip(self.place(inside), (f"{value:g}" for value in inside.round(9)), strict=True))


def x_axis(low: float, high: float) -> Axis:
    """Lay values along the bottom."""
    return Axis(low, high, LEFT, WIDTH - RIGHT)


def y_axis(low: float, high: float) -> Axis:
    """Lay values along the left side, the low ones at the bottom."""
    return Axis(low, high, HEIGHT - BOTTOM, TOP)


def colours(models: Sequence[str]) -> dict[str, int]:
    """Give the first models a colour each; the others share the last one."""
    return {model: min(number, COLOURED) for number, model in enumerate(models)}


def line(rows: pd.DataFrame, x: str, y: str, axes: tuple[Axis, Axis], colour: int, *, dashed: bool) -> Line:
    """Draw column `y` over column `x`; a single point is a dot, and `photos` make dots of their size."""
    across, up = axes[0].place(rows[x]), axes[1].place(rows[y])
    points = " ".join(f"{a:g},{b:g}" for a, b in zip(across, up, strict=True))
    radii = np.zeros(len(rows)) if len(rows) > 1 else np.full(len(rows), 4.0)
    if "photos" in rows:
        radii = 2 + 8 * np.sqrt(rows["photos"] / max(rows["photos"].max(), 1)).to_numpy()
    dots = [(a, b, float(r)) for a, b, r in zip(across, up, radii.round(1), strict=True) if r]
    return Line(colour, dashed, points, dots)


def learning(curves: pd.DataFrame, models: Sequence[str], score: str) -> Chart:
    """Chart a score of the table `plots/compare/curves.csv` by epoch: train dashed, validation solid."""
    high = 1.0 if score == "accuracy" else float(curves[score].max()) * 1.05
    low = max(0.0, float(curves[score].min()) - 0.05) if score == "accuracy" else 0.0
    last = int(curves["epoch"].max())
    axes = x_axis(1 if last > 1 else 0, last), y_axis(low, high)
    lines = [
        line(
            curves[(curves["model"] == model) & (curves["split"] == split)].sort_values("epoch"),
            "epoch", score, axes, colour, dashed=split == "train",
        )
        for model, colour in colours(models).items()
        for split in ("train", "val")
    ]  # fmt: skip
    held_out = curves[curves["split"] == "val"].groupby("model")[score]
    best = (held_out.max() if score == "accuracy" else held_out.min()).reindex(list(models))
    word = "highest" if score == "accuracy" else "lowest"
    ends = ", ".join(f"{model} {value:.3f}" for model, value in best.items())
    summary = f"{word} on validation photos: {ends}"
    return Chart(score.capitalize(), "epoch", summary, axes[0].ticks(whole=True), axes[1].ticks(), lines)


def relation(table: pd.DataFrame, models: Sequence[str], x: str, y: str, title: str) -> Chart:
    """Chart curves of values from 0 to 1, one per model."""
    axes = x_axis(0, 1), y_axis(0, 1)
    lines = [
        line(table[table["model"] == model], x, y, axes, colour, dashed=False)
        for model, colour in colours(models).items()
    ]
    areas = (f"{m} {np.trapezoid(rows[y], rows[x]):.3f}" for m, rows in table.groupby("model", sort=False))
    words = (
        f"{y.replace('_', ' ')} over {x.replace('_', ' ')}, mean of the classes; areas: {', '.join(areas)}"
    )
    return Chart(title, x.replace("_", " "), words, axes[0].ticks(), axes[1].ticks(), lines)


def reliability(bins: pd.DataFrame) -> Chart:
    """Chart accuracy over confidence of one model, a line per kind; on the dashed diagonal it is honest."""
    axes = x_axis(0, 1), y_axis(0, 1)
    corners = pd.DataFrame({"confidence": [0.0, 1.0], "accuracy": [0.0, 1.0]})
    lines = [line(corners, "confidence", "accuracy", axes, COLOURED, dashed=True)]
    words = []
    for number, (kind, rows) in enumerate(bins.groupby("kind", sort=False)):
        lines.append(line(rows, "confidence", "accuracy", axes, number, dashed=False))
        gap = np.average((rows["confidence"] - rows["accuracy"]).abs(), weights=rows["photos"])
        words.append(f"{kind}: mean gap {gap:.3f}")
    return Chart(
        "Accuracy over confidence", "confidence", "; ".join(words), axes[0].ticks(), axes[1].ticks(), lines
    )
