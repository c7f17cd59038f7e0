"""What DVC compares: metrics (flat JSON) and plot tables (CSV, without a byte order mark)."""

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from handlens.errors import UserError
from handlens.revisions import Read, present

Value = float | int | str | bool | None


def write(values: Mapping[str, Value], path: Path) -> None:
    """Write `values` as JSON; a number that is not finite is a defect of the caller and an error."""
    for key, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{path}: {key} is {value}, which is no measurement")
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_points(table: pd.DataFrame, path: Path) -> None:
    """Write a table for `dvc plots`, the same bytes for the same rows; NaN is an empty cell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def read_points(path: Path, command: str, *, read: Read = present) -> pd.DataFrame:
    """Read a plot table, names as text; `command` is what makes the file when it is missing."""
    names = dict.fromkeys(["model", "split", "class", "actual", "predicted", "photo_id"], str)
    try:
        text = io.StringIO(read(path))
        return pd.read_csv(text, dtype=names, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise UserError(f"{path} is missing. Run '{command}' to make it.") from None
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{path} is not a table: {error}. Run '{command}' again.") from None


def read(path: Path, command: str) -> dict[str, Any]:
    """Read a metrics file; `command` is what makes it when it is missing or broken."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing. Run '{command}' to make it.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is not JSON ({error}). Run '{command}' again.") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} is not a JSON object. Run '{command}' again.")
    return values
