"""Every exported file of every model in one table: what it gives and what it costs."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

OF_A_FILE = (
    "passed",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "agreement",
    "megabytes",
    "ms",
    "latency_ratio",
)


def table(exported: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Tabulate the metrics of `export` by model; one row per file, smallest first.

    Columns: model, kind, then `OF_A_FILE`: megabytes are 10^6 bytes, ms one photo on one thread,
    `latency_ratio` that to PyTorch in the same run, agreement the share of test photos with the trained
    model's class.
    """
    rows = [
        {"model": model, "kind": kind, **{name: values[f"{kind}_{name}"] for name in OF_A_FILE}}
        for model, values in exported.items()
        for kind in kinds(values)
    ]
    found = pd.DataFrame(rows, columns=["model", "kind", *OF_A_FILE])
    return found.sort_values(["megabytes", "model", "kind"], ignore_index=True)


def kinds(values: Mapping[str, Any]) -> list[str]:
    """Name the kinds of file that the metrics of one model tell about."""
    return [key.removesuffix("_agreement") for key in values if key.endswith("_agreement")]
