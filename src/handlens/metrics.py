"""Metrics files: flat JSON that DVC compares."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

Value = float | int | str | bool | None


def write(values: Mapping[str, Value], path: Path) -> None:
    """Write `values` as JSON; a number that is not finite is a defect of the caller and an error."""
    for key, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{path}: {key} is {value}, which is no measurement")
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
