"""balance: photo and flip rows -> capped or repeated rows, and the class counts of every step."""

from pathlib import Path

import pandas as pd
import typer

from handlens import balancing, figures, manifest, params
from handlens.errors import guarded


def main(params_file: Path, verdict_file: Path, rows_file: Path, balanced: Path, pictures: Path) -> None:
    """Balance the classes."""
    p = params.load(params_file)
    verdict, rows = manifest.read(verdict_file), manifest.read(rows_file)
    result = balancing.balance(rows, method=p.balance.method, max_count=p.balance.max_count, seed=p.seed)
    manifest.write(result, balanced)
    counts = {
        "raw": verdict.loc[verdict["label"] != "", "label"].value_counts(),
        "filter": verdict.loc[verdict["status"] == "ok", "label"].value_counts(),
        "augment": rows["label"].value_counts(),
        "balance": result["label"].value_counts(),
    }
    table = pd.DataFrame(counts).fillna(0).astype(int).sort_index()
    figures.class_counts(table, path=pictures / "classes.png")


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
