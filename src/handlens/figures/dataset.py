"""Pictures of the photos and classes: sizes, counts per step, quality."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from handlens.figures import style

NAME_EMS = 16.0  # longer class names lose their middle


def sizes(photos: pd.DataFrame, *, min_side: int, max_ratio: float, path: Path) -> None:
    """Scatter widths against heights, with the filter's limits drawn in.

    `photos` has `width` and `height` in px; rows without a size (unreadable files) are left out. A
    circle's area grows with the number of photos of that size; the shaded area is refused.
    """
    known = photos[(photos["width"] > 0) & (photos["height"] > 0)]
    at = known.groupby(["width", "height"]).size().reset_index(name="photos")
    width, height = at["width"].to_numpy(float), at["height"].to_numpy(float)
    ratio = np.maximum(width, height) / np.minimum(width, height)
    kept = (np.minimum(width, height) >= min_side) & (ratio <= max_ratio)
    area = np.minimum(14 * np.sqrt(at["photos"].to_numpy()), 250)
    low, high = size_range(width, height, min_side)
    with style.drawing(path, 6.4, 6.2) as figure:
        axes = figure.add_subplot()
        draw_size_limits(axes, low, high, min_side=min_side, max_ratio=max_ratio)
        for inside, colour, name in (
            (True, style.BLUE, "kept"),
            (False, style.VERMILION, "refused"),
        ):
            rows = kept == inside
            label = f"{name} by size: {int(at['photos'][rows].sum()):,} photos"
            axes.scatter(width[rows], height[rows], area[rows], color=colour, alpha=0.55, lw=0, label=label)
        axes.set_xlabel("width (px)")
        axes.set_ylabel("height (px)")
        axes.set_title(f"Sizes of {len(known):,} photos")
        legend = axes.legend(loc="upper left", bbox_to_anchor=(0, -0.09), ncols=2, borderaxespad=0)
        for handle in legend.legend_handles:
            handle.set(sizes=[40])  # type: ignore[union-attr]


def size_range(width: np.ndarray, height: np.ndarray, min_side: int) -> tuple[float, float]:
    """Choose axis ends (px) that show all sizes and the least side, with some air around them."""
    sides = np.concatenate([width, height, [min_side, 2 * min_side]])
    return float(sides.min()) / 1.35, float(sides.max()) * 1.35


def draw_size_limits(axes: Axes, low: float, high: float, *, min_side: int, max_ratio: float) -> None:
    """Set up logarithmic axes of the same scale and shade what the limits refuse."""
    ends = np.array([low, high])
    shade: dict[str, Any] = {"color": style.SHADE, "lw": 0, "zorder": 0}
    axes.fill_between(ends, ends * max_ratio, high * max_ratio, **shade)
    axes.fill_between(ends, low / max_ratio, ends / max_ratio, **shade)
    axes.fill_between([low, min_side], low, high, **shade)
    axes.fill_between(ends, low, min_side, **shade)
    line: dict[str, Any] = {"color": style.MUTED, "lw": 1, "ls": (0, (5, 3))}
    axes.plot([min_side, min_side, high], [high, min_side, min_side], **line)
    for upper in (ends * max_ratio, ends / max_ratio):
        axes.plot(ends, upper, **line)
    for axis, set_scale, set_limits in (
        (axes.xaxis, axes.set_xscale, axes.set_xlim),
        (axes.yaxis, axes.set_yscale, axes.set_ylim),
    ):
        set_scale("log")
        set_limits(low, high)
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    axes.set_aspect("equal")
    note: dict[str, Any] = {"color": style.MUTED, "fontsize": 8}
    axes.annotate(
        f"shorter side {min_side} px", (high, min_side), (-4, 4), **note,
        textcoords="offset points", ha="right",
    )  # fmt: skip
    end = high / max_ratio
    axes.annotate(
        f"ratio {max_ratio:g}", (max(end, low * 1.02), high), (4, -12), **note,
        textcoords="offset points", ha="left",
    )  # fmt: skip


def class_counts(counts: pd.DataFrame, path: Path) -> None:
    """Draw the number of rows per class after each step, a panel per step, the mean as a line.

    `counts` is indexed by class name, in order; its columns are the steps, for example `filter`,
    `augment`, `balance`.
    """
    names = [style.shorten(str(name), NAME_EMS) for name in counts.index]
    panel, row = 2.3, 0.2 if len(names) > 20 else 0.3
    width = 0.3 + style.label_inches(names) + panel * counts.shape[1]
    with style.drawing(path, width, 1.0 + row * len(names)) as figure:
        panels = figure.subplots(1, counts.shape[1], sharex=True, sharey=True, squeeze=False)[0]
        end = float(counts.to_numpy().max(initial=1))
        for axes, step, colour in zip(panels, counts.columns, style.COLOURS, strict=False):
            draw_counts(axes, counts[step].to_numpy(), str(step), colour, end)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].set_ylim(len(names) - 0.4, -0.6)  # the first class on top


def draw_counts(axes: Axes, counts: np.ndarray, step: str, colour: str, end: float) -> None:
    """Draw the bars of one step with their numbers and the mean."""
    mean = counts.mean() if len(counts) else 0.0
    axes.barh(np.arange(len(counts)), counts, height=0.72, color=colour, alpha=0.85)
    for row, count in enumerate(counts):
        axes.annotate(
            f"{count:,}", (count, row), (3, 0), textcoords="offset points",
            va="center", fontsize=7.5, color=style.MUTED,
            bbox={"color": "white", "pad": 0.4, "alpha": 0.8},
        ).set_in_layout(False)  # fmt: skip
    axes.axvline(mean, color=style.INK, lw=1.1, ls=(0, (5, 3)))
    axes.set_title(f"{step}\n")
    note = f"{int(counts.sum()):,} rows, mean {mean:,.0f} per class"
    axes.text(0, 1, note, transform=axes.transAxes, fontsize=8, color=style.MUTED, va="bottom")
    axes.set_xlim(0, end * 1.2)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    style.bare(axes)


def quality(photos: pd.DataFrame, thresholds: Mapping[str, float | None], path: Path) -> None:
    """Draw histograms of sharpness, brightness and contrast with the thresholds of the filter.

    `photos` has these columns (those of photos.parquet) and `status`; only readable photos count.
    `thresholds` may hold `min_sharpness`, `min_brightness`, `max_brightness` and `min_contrast`;
    None is off.
    """
    readable = photos[photos["status"] == "ok"]
    with style.drawing(path, 10, 3.0) as figure:
        panels = figure.subplots(1, 3)
        for axes, name, unit in zip(
            panels,
            ("sharpness", "brightness", "contrast"),
            (
                "variance of the Laplacian",
                "mean grey value, 0 to 255",
                "standard deviation of grey",
            ),
            strict=True,
        ):
            limits = {side: thresholds.get(f"{side}_{name}") for side in ("min", "max")}
            draw_quality(axes, readable[name].to_numpy(float), limits, log=name == "sharpness")
            axes.set_title(f"{name}\n")
            axes.set_xlabel(unit)
        panels[0].set_ylabel("photos")


def draw_quality(axes: Axes, values: np.ndarray, limits: Mapping[str, float | None], *, log: bool) -> None:
    """Draw one histogram; what lies beyond a limit is vermilion and counted above the picture."""
    active = {side: limit for side, limit in limits.items() if limit is not None}
    span = np.array([*values, *active.values()], float)
    span = np.maximum(span, 0.5) if log else span
    low, high = (float(span.min()), float(span.max())) if len(span) else (1.0, 2.0)
    high = high if high > low else low + 1
    edges = (np.geomspace(low, high, 41) if log else np.linspace(low, high, 41)).tolist()
    inside = (values >= active.get("min", -np.inf)) & (values <= active.get("max", np.inf))
    shown = np.clip(values, low, high)
    axes.hist([shown[inside], shown[~inside]], edges, stacked=True, color=[style.BLUE, style.VERMILION])
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
    for limit in active.values():
        axes.axvline(limit, color=style.INK, lw=1.1, ls=(0, (5, 3)))
    words = [f"{side} {limit:g}" for side, limit in active.items()]
    note = f"{', '.join(words)}: {int((~inside).sum()):,} photos beyond" if words else "no limit set"
    axes.text(0, 1.02, note, transform=axes.transAxes, fontsize=8, color=style.MUTED, va="bottom")
    style.bare(axes, grid="y")
