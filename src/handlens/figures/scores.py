"""Pictures of models: confusion, learning curves, leaderboard, calibration, what accuracy costs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from handlens.figures import style

NAME_EMS = 14.0  # longer class names lose their middle
NAMES_UP_TO = 8  # models; beyond, only those on the front are named in a scatter
MARKERS = "os^DvP*X"  # of kinds of file
NUMBERS_UP_TO = 120  # classes; beyond, cells are too small for counts


def confusion(matrix: NDArray[np.int64], classes: Sequence[str], path: Path, *, title: str) -> None:
    """Draw counts of photos by actual class (rows) and predicted class (columns), in the given order.

    The right ones are blue, mistakes vermilion; both the darker the larger their share of the row.
    """
    names = [style.shorten(name, NAME_EMS) for name in classes]
    cell = 0.72 if len(names) <= 6 else 0.5 if len(names) <= 12 else min(0.3, 36 / len(names))
    label = style.label_inches(names)
    side = max(cell * len(names), 1.6)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(names), dtype=bool)
    width = max(side + label + 0.7, style.label_inches([title], 10) + 0.3)
    with style.drawing(path, width, side + label + 1.1) as figure:
        axes = figure.add_subplot()
        for part, colour in ((right, style.BLUE), (~right, style.VERMILION)):
            ramp = LinearSegmentedColormap.from_list("ramp", ["#FFFFFF", colour])
            axes.imshow(np.ma.masked_where(~part, share), cmap=ramp, norm=PowerNorm(0.6, 0, 1))
        if len(names) <= NUMBERS_UP_TO:
            draw_counts(axes, matrix, share, cell)
        axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 3 else 0)
        axes.set_yticks(range(len(names)), names)
        axes.set_xticks(np.arange(len(names) - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
        axes.grid(visible=False)
        axes.grid(visible=True, which="minor")
        axes.tick_params(which="both", length=0)
        axes.spines[:].set_visible(True)
        axes.set_xlabel("predicted")
        axes.set_ylabel("actual")
        figure.suptitle(title, x=0.02, ha="left", fontsize=10)


def draw_counts(axes: Axes, matrix: NDArray[np.int64], share: NDArray[np.float64], cell: float) -> None:
    """Write the counts that are not zero into their cells of `cell` inches."""
    longest = len(str(matrix.max(initial=0)))
    size = min(10.0, cell * 72 * 0.9 / (0.56 * max(longest, 2)))
    for row, column in zip(*np.nonzero(matrix), strict=True):
        axes.text(
            column, row, str(matrix[row, column]), ha="center", va="center", fontsize=size,
            color="white" if share[row, column] > 0.45 else style.INK,
        ).set_in_layout(False)  # fmt: skip


def curves(points: pd.DataFrame, path: Path) -> None:
    """Draw loss and accuracy by epoch, a colour per model, train dashed and validation solid.

    `points` has the columns model, split (`train` or `val`), epoch, loss, accuracy.
    """
    models = list(dict.fromkeys(points["model"]))
    colours = style.colours(len(models))
    columns = min(len(models), 4)
    legend_rows = -(-len(models) // columns) + 1
    with style.drawing(path, 10, 3.9 + 0.22 * legend_rows) as figure:
        panels = figure.subplots(1, 2)
        for axes, score in zip(panels, ("loss", "accuracy"), strict=True):
            for model, colour in zip(models, colours, strict=True):
                draw_curve(axes, points[points["model"] == model], score, colour)
            axes.set_title(score)
            axes.set_xlabel("epoch")
            axes.set_xlim(0.5, points["epoch"].max() + 0.5)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[0].set_ylim(0, 1.05 * points["loss"].max())
        lines = [Line2D([], [], color=colour, lw=2) for colour in colours]
        kinds = [Line2D([], [], color=style.INK, ls=ls, lw=1.4) for ls in ("-", (0, (4, 2)))]
        figure.legend(lines, models, loc="outside lower center", ncols=columns)
        panels[1].legend(kinds, ["validation", "train"], loc="best", frameon=True)


def draw_curve(axes: Axes, points: pd.DataFrame, score: str, colour: Any) -> None:
    """Draw one model's score on both sides; a single epoch is a dot."""
    for side, width, dash in (("train", 1.0, (0, (4, 2))), ("val", 1.8, "-")):
        line = points[points["split"] == side].sort_values("epoch")
        marker = "o" if len(line) == 1 else None
        axes.plot(
            line["epoch"], line[score], color=colour, lw=width, ls=dash, marker=marker, ms=4,
            alpha=0.8 if side == "train" else 1.0,
        )  # fmt: skip


def leaderboard(table: pd.DataFrame, path: Path, *, score: str = "accuracy") -> None:
    """Draw a score of every model with its 95 % interval, best on top; the winner is filled.

    `table` has the columns model, `score`, `score`_low, `score`_high, winner (bool) and test_photos.
    """
    rows = table.sort_values([score, "model"], ascending=[False, True]).reset_index(drop=True)
    low, high = rows[f"{score}_low"].min(), rows[f"{score}_high"].max()
    span = max(high - low, 0.02)
    width = 4.6 + style.label_inches(list(rows["model"])) + 1.9
    with style.drawing(path, width, 1.15 + 0.34 * len(rows)) as figure:
        axes = figure.add_subplot()
        for place, (_, row) in enumerate(rows.iterrows()):
            colour = style.BLUE if row["winner"] else style.MUTED
            axes.plot([row[f"{score}_low"], row[f"{score}_high"]], [place, place], color=colour, lw=2)
            face = colour if row["winner"] else "white"
            axes.plot(row[score], place, "o", ms=8, mec=colour, mfc=face, mew=1.8)
            text = f"{row[score]:.3f}  [{row[f'{score}_low']:.3f}, {row[f'{score}_high']:.3f}]"
            axes.text(
                1.02, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5,
                color=style.INK if row["winner"] else style.MUTED,
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), rows["model"])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(low - 0.06 * span, high + 0.06 * span)
        axes.set_xlabel(f"{score} on {rows['test_photos'].iloc[0]:,} test photos, 95 % interval")
        axes.set_title("Leaderboard (filled: the winner by validation score)")
        style.bare(axes)


def reliability(bins: pd.DataFrame, path: Path, *, title: str) -> None:
    """Draw accuracy against confidence, one line per `kind`; on the diagonal a network is honest.

    `bins` has the columns kind, confidence, accuracy, photos; a dot's area grows with its photos.
    """
    with style.drawing(path, 4.8, 4.9) as figure:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=style.MUTED, lw=1, ls=(0, (5, 3)))
        kinds = list(dict.fromkeys(bins["kind"]))
        for kind, colour in zip(kinds, style.colours(len(kinds)), strict=True):
            part = bins[bins["kind"] == kind]
            area = 10 + 240 * part["photos"] / max(bins["photos"].max(), 1)
            axes.plot(part["confidence"], part["accuracy"], color=colour, label=kind)
            axes.scatter(part["confidence"], part["accuracy"], area, color=colour, alpha=0.5, lw=0)
        axes.set(xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
        axes.set_xlabel("confidence")
        axes.set_ylabel("accuracy")
        axes.set_title(title)
        axes.legend(loc="upper left")


def trade_off(table: pd.DataFrame, path: Path) -> None:
    """Draw accuracy against latency and weights; the step line joins what no other model beats.

    `table` has the columns model, accuracy, latency_ms, weights_mb, winner, and `pareto_latency_ms` and
    `pareto_weights_mb` (bool).
    """
    with style.drawing(path, 10, 4.2) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, cost, unit in zip(
            panels,
            ("latency_ms", "weights_mb"),
            ("latency of one photo on one thread (ms)", "weights (MB)"),
            strict=True,
        ):
            draw_trade_off(axes, table, cost)
            axes.set_xlabel(unit)
        panels[0].set_ylabel("accuracy on the test photos")
        panels[0].set_title("What accuracy costs")


def draw_trade_off(axes: Axes, table: pd.DataFrame, cost: str) -> None:
    """Draw one panel of `trade_off`."""
    front = table[table[f"pareto_{cost}"]].sort_values(cost)
    axes.step(front[cost], front["accuracy"], where="post", color=style.GRID, lw=2, zorder=1)
    for _, row in table.iterrows():
        on_front = row[f"pareto_{cost}"]
        colour = style.BLUE if row["winner"] else style.INK if on_front else style.MUTED
        axes.plot(row[cost], row["accuracy"], "o", color=colour, ms=7 if row["winner"] else 5)
        if len(table) > NAMES_UP_TO and not (on_front or row["winner"]):
            continue
        axes.annotate(
            row["model"], (row[cost], row["accuracy"]), (5, 4), textcoords="offset points",
            fontsize=7.5, color=colour,
        )  # fmt: skip
    axes.set_xlim(0, table[cost].max() * 1.25)
    axes.margins(y=0.12)


def files(table: pd.DataFrame, path: Path) -> None:
    """Draw accuracy against size and latency of every exported file; agreement stands beside the size.

    `table` is `shipping.table`'s. A colour per model, a marker per kind; hollow: it misses its limits. Files
    of one model share a dashed line.
    """
    models, kinds = list(dict.fromkeys(table["model"])), list(dict.fromkeys(table["kind"]))
    colour = dict(zip(models, style.colours(len(models)), strict=True))
    marker = {kind: MARKERS[place % len(MARKERS)] for place, kind in enumerate(kinds)}
    with style.drawing(path, 12, 4.6) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        units = {"megabytes": "file (MB)", "ms": "one photo on one thread (ms)"}
        for axes, (cost, unit) in zip(panels, units.items(), strict=True):
            for model, part in table.groupby("model", sort=False):
                draw_files(axes, part.sort_values(cost), cost, colour[model], marker)
            axes.margins(x=0.12, y=0.12)
            axes.set_xlim(left=0)
            axes.set_xlabel(unit)
        panels[0].set_ylabel("accuracy on the test photos, 95 % interval")
        panels[0].set_title("Exported files, and on how many photos they agree with the trained model")
        handles = [Line2D([], [], color=colour[model], label=model) for model in models]
        handles += [Line2D([], [], color=style.INK, marker=marker[kind], ls="", label=kind) for kind in kinds]
        figure.legend(handles=handles, loc="outside right upper")


def draw_files(axes: Axes, part: pd.DataFrame, cost: str, colour: Any, marker: Mapping[str, str]) -> None:
    """Draw one model's files in one panel of `files`."""
    below, above = part["accuracy"] - part["accuracy_low"], part["accuracy_high"] - part["accuracy"]
    axes.errorbar(part[cost], part["accuracy"], (below, above), fmt="none", ecolor=colour, lw=0.8, alpha=0.35)
    axes.plot(part[cost], part["accuracy"], color=colour, lw=0.8, ls=(0, (4, 3)), alpha=0.6)
    for _, row in part.iterrows():
        face = colour if row["passed"] else "white"
        axes.plot(row[cost], row["accuracy"], marker[row["kind"]], ms=6, mec=colour, mfc=face)
        if cost == "megabytes":
            axes.annotate(
                f"{row['agreement']:.1%}", (row[cost], row["accuracy"]), (5, 4), textcoords="offset points",
                fontsize=7, color=colour,
            )  # fmt: skip


def robustness(table: pd.DataFrame, path: Path, *, title: str) -> None:
    """Draw accuracy on spoiled photos as a grid: a row per corruption, a column per strength.

    `table` has the columns corruption, strength (0: as they are), setting, accuracy, photos.
    """
    clean = float(table["accuracy"][table["strength"] == 0].iloc[0])
    spoiled = table[table["strength"] > 0]
    names = list(dict.fromkeys(spoiled["corruption"]))
    grid = spoiled["accuracy"].to_numpy().reshape(len(names), -1)
    ramp = LinearSegmentedColormap.from_list("ramp", [style.VERMILION, "#FFFFFF"])
    with style.drawing(path, 5.6, 1.3 + 0.5 * len(names)) as figure:
        axes = figure.add_subplot()
        axes.imshow(grid - clean, cmap=ramp, vmin=-max(clean, 0.01), vmax=0, aspect="auto")
        for place, (accuracy, setting) in enumerate(
            zip(spoiled["accuracy"], spoiled["setting"], strict=True)
        ):
            row, column = divmod(place, grid.shape[1])
            axes.text(column, row - 0.13, f"{accuracy:.1%}", ha="center", va="center", fontsize=10)
            axes.text(column, row + 0.25, setting, ha="center", va="center", fontsize=7, color=style.INK)
        axes.set_yticks(range(len(names)), names)
        axes.set_xticks(range(grid.shape[1]), ["weak", "medium", "strong"][: grid.shape[1]])
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        photos = int(table["photos"].iloc[0])
        figure.suptitle(
            f"{title}\n{clean:.1%} on {photos:,} photos as they are", x=0.02, ha="left", fontsize=10
        )
