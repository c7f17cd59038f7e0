"""The leaderboard and the verdict of the gate, as tables for the terminal, Markdown and programs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd
from rich.table import Table
from rich.text import Text

from handlens.gating import Rule, sentence, shown, verdict_of

HEADINGS = {
    "model": "model",
    "val_accuracy": "val",
    "accuracy": "test accuracy",
    "macro_f1": "macro F1",
    "params": "params",
    "macs": "MACs",
    "weights_mb": "MB",
    "latency_ms": "ms",
    "train_seconds": "train s",
    "verdict": "against the winner",
}
MARKS = {"pass": "✅ pass", "fail": "❌ fail", "cannot judge": "⚠️ cannot judge"}
COLOURS = {"pass": "green", "fail": "red", "cannot judge": "yellow"}


def side_by_side(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put the leaderboards of revisions below each other, with a column `revision` if there are several."""
    if len(tables) == 1:
        return next(iter(tables.values()))
    named = [table.assign(revision=revision) for revision, table in tables.items()]
    return pd.concat(named, ignore_index=True)


def headings(table: pd.DataFrame) -> dict[str, str]:
    """Name the columns that are shown."""
    return ({"revision": "revision"} if "revision" in table else {}) | HEADINGS


def cells(row: Mapping[Any, Any]) -> list[str]:
    """Write a row of plots/compare.csv for people: scores with their 95 % interval, k, M and G."""
    found = [row["revision"]] if "revision" in row else []
    for key in HEADINGS:
        value = row[key]
        if f"{key}_low" in row:
            found.append(f"{value:.3f} [{row[f'{key}_low']:.3f}, {row[f'{key}_high']:.3f}]")
        elif key in ("params", "macs"):
            found.append(short(value))
        elif key == "verdict":
            found.append(against(row))
        else:
            found.append(value if isinstance(value, str) else f"{value:.4g}")
    return found


def short(count: float) -> str:
    """Write a count with three digits and a letter: 2.23M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return f"{count:.0f}"


def against(row: Mapping[Any, Any]) -> str:
    """Say how a model stands against the winner on the test photos."""
    if math.isnan(row["p_value"]):
        return str(row["verdict"])
    return f"{row['difference']:+.3f}, {row['verdict']} (p {row['p_value']:.2g})"


def leaderboard(table: pd.DataFrame) -> Table:
    """Lay out the leaderboard for a terminal; the winner is bold."""
    board = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for key, heading in headings(table).items():
        justify: Literal["left", "right"] = "left" if key in ("revision", "model", "verdict") else "right"
        board.add_column(heading, justify=justify, no_wrap=True)
    for row in table.to_dict("records"):
        board.add_row(*(Text(cell) for cell in cells(row)), style="bold" if row["winner"] else "")
    return board


def leaderboard_markdown(table: pd.DataFrame) -> str:
    """Write the leaderboard in Markdown; the winner is bold."""
    shown_headings = headings(table).values()
    lines = [" | ".join(shown_headings), " | ".join("---" for _ in shown_headings)]
    for row in table.to_dict("records"):
        mark = "**" if row["winner"] else ""
        lines.append(" | ".join(f"{mark}{cell}{mark}" for cell in cells(row)))
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def leaderboard_json(table: pd.DataFrame) -> str:
    """Write the leaderboard for programs: a list of objects, null where there is no value."""
    return table.to_json(orient="records", indent=2, force_ascii=False, double_precision=15) + "\n"


def verdict(rules: Sequence[Rule]) -> Table:
    """Lay out the rules of the gate for a terminal."""
    board = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("rule", "value", "must be", "verdict"):
        board.add_column(heading, justify="right" if heading == "value" else "left", no_wrap=True)
    for rule in rules:
        judged = Text(rule.verdict, style=COLOURS[rule.verdict])
        board.add_row(Text(rule.name), shown(rule.value), f"{rule.relation} {shown(rule.limit)}", judged)
    return board


def verdict_markdown(rules: Sequence[Rule], winner: str) -> str:
    """Write the rules of the gate in Markdown, and a sentence for each that did not pass."""
    lines = [
        f"**Gate: {verdict_of(rules)}** for `{winner}`",
        "",
        "| rule | value | must be | verdict |",
        "| --- | ---: | ---: | --- |",
    ]
    for rule in rules:
        name = rule.name.replace("|", "\\|")
        limit = f"{rule.relation} {shown(rule.limit)}"
        lines.append(f"| {name} | {shown(rule.value)} | {limit} | {MARKS[rule.verdict]} |")
    missed = [f"- {sentence(rule)}" for rule in rules if rule.verdict != "pass"]
    return "\n".join([*lines, *(["", *missed] if missed else [])]) + "\n"
