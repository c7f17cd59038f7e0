"""What the gate judges by: metrics files and tables, each read or, with its reason, not to be trusted.

Nothing here raises for a missing, broken or outdated file: such a file is evidence that cannot be used, and
a rule that needs it is "cannot judge", never "pass".
"""

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from handlens.errors import UserError
from handlens.revisions import Read, present


@dataclass(frozen=True)
class Sources:
    """Where the evidence lies: two files and the folders of one file per model."""

    split: Path
    compare: Path
    evaluate: Path
    tables: Path
    export: Path

    @classmethod
    def of(cls, metrics: Path, plots: Path) -> "Sources":
        """Find the evidence in the folders that the pipeline writes."""
        return cls(
            split=metrics / "split.json",
            compare=metrics / "compare.json",
            evaluate=metrics / "evaluate",
            tables=plots / "evaluate",
            export=metrics / "export",
        )

    def evaluation(self, model: str) -> Path:
        """Name the test scores of a model."""
        return self.evaluate / f"{model}.json"

    def classes(self, model: str) -> Path:
        """Name the table of a model's scores per class."""
        return self.tables / model / "classes.csv"

    def exported(self, model: str) -> Path:
        """Name the export metrics of a model."""
        return self.export / f"{model}.json"


@dataclass(frozen=True)
class Evidence:
    """The winner, metrics by file, its recalls by class, and for every unusable file why."""

    winner: str
    sources: Sources
    values: Mapping[Path, Mapping[str, Any]]
    recalls: Mapping[str, float]
    unusable: Mapping[Path, str]

    def files(self) -> list[Path]:
        """List what the winner is judged by."""
        return [*self.values, self.sources.classes(self.winner)]

    def without(self, unusable: Mapping[Path, str]) -> "Evidence":
        """Give the same evidence with more files that cannot be used."""
        reasons = {**unusable, **self.unusable}
        if self.sources.compare in reasons:  # then the winner itself is in doubt
            reasons = {**dict.fromkeys(self.files(), reasons[self.sources.compare]), **reasons}
        return replace(self, unusable=reasons)

    def number(self, path: Path, key: str) -> tuple[float, str]:
        """Take a number out of a file; or NaN and the reason why it cannot be used."""
        if path in self.unusable:
            return math.nan, self.unusable[path]
        value, reason = number(self.values[path], key)
        return value, f"{path} {reason}" if reason else ""

    def recall(self, name: str) -> tuple[float, str]:
        """Take the recall of a class; or NaN and the reason why it cannot be used."""
        path = self.sources.classes(self.winner)
        if path in self.unusable:
            return math.nan, self.unusable[path]
        if name not in self.recalls:
            return math.nan, f"{path} has no class {name!r}, only {', '.join(self.recalls)}"
        return self.recalls[name], ""


def collect(sources: Sources, *, read: Read = present) -> Evidence:
    """Read all evidence on the winner that the compare metrics name.

    Raises `UserError` when these do not name a winner: then there is nothing to judge.
    """
    compare, reason = read_json(sources.compare, read)
    winner = compare.get("winner")
    if not isinstance(winner, str) or not winner:
        raise UserError(
            f"{sources.compare} names no winner ({reason or 'the key is missing'}). Run 'dvc repro' first."
        )
    values: dict[Path, Mapping[str, Any]] = {sources.compare: compare}
    unusable: dict[Path, str] = {}
    for path in (sources.split, sources.evaluation(winner), sources.exported(winner)):
        values[path], reason = read_json(path, read)
        if reason:
            unusable[path] = reason
    scores = sources.evaluation(winner)
    if scores not in unusable and compare.get("accuracy") != values[scores].get("accuracy"):
        unusable[scores] = f"{scores} and {sources.compare} differ in accuracy; run 'dvc repro'"
    recalls, reason = read_recalls(sources.classes(winner), read)
    if reason:
        unusable[sources.classes(winner)] = reason
    return Evidence(winner, sources, values, recalls, unusable)


def read_json(path: Path, read: Read) -> tuple[dict[str, Any], str]:
    """Read a JSON object; or nothing and the reason."""
    try:
        values = json.loads(read(path))
    except FileNotFoundError:
        return {}, f"{path} is missing"
    except (OSError, ValueError) as error:
        return {}, f"{path} cannot be read: {error}"
    return (values, "") if isinstance(values, dict) else ({}, f"{path} is not a JSON object")


def read_recalls(path: Path, read: Read) -> tuple[dict[str, float], str]:
    """Read the recall of every class; or nothing and the reason."""
    try:
        rows = list(csv.DictReader(io.StringIO(read(path)), strict=True))
    except FileNotFoundError:
        return {}, f"{path} is missing"
    except (OSError, ValueError, csv.Error) as error:
        return {}, f"{path} cannot be read: {error}"
    try:
        recalls = {row["class"]: float(row["recall"]) for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        return {}, f"{path} is not a table of class and recall: {error}"
    if not recalls or len(recalls) < len(rows):
        return {}, f"{path} has {len(rows)} rows for {len(recalls)} classes"
    return recalls, ""


def number(values: Mapping[str, Any], key: str) -> tuple[float, str]:
    """Take a finite number; or NaN and the reason. Truth values and numbers in quotes are not numbers."""
    if key not in values:
        return math.nan, f"has no {key}"
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan, f"says {key} is {value!r}, which is no number"
    if not math.isfinite(value):
        return math.nan, f"says {key} is {value}"
    return float(value), ""
