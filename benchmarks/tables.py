"""The table steps on a million synthetic photos: seconds per step. Limit: 60 s for all of them.

    python benchmarks/tables.py [ROWS]

A tenth of the photos lie in near-duplicate groups of two, one in a hundred is an exact copy; 100 classes of
unequal size. Reading and writing the tables between the steps is included; no photo is opened.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from handlens import augmenting, balancing, filtering, manifest, normalization, splitting


def synthetic(rows: int) -> pd.DataFrame:
    """Make a photos table."""
    random = np.random.default_rng(0)
    label = np.minimum(random.geometric(0.03, rows), 100)
    number = np.arange(rows)
    group = np.where(random.random(rows) < 0.1, number // 2 * 2, number)
    content = np.where(random.random(rows) < 0.01, group, number)
    label[content != number] = label[content[content != number]]
    sums = {name: random.integers(10**5, 10**6, rows) for name in normalization.SUMS[:3]}
    squares = {name: 200 * sums[name.replace("squares", "sum")] for name in normalization.SUMS[3:]}
    side = random.integers(20, 4000, (2, rows))
    return pd.DataFrame(
        {
            "photo_id": [f"{i * 2654435761 % 2**64:016x}" for i in range(rows)],
            "slot": number,
            "path": [f"class {c:03d}/{i:08d}.jpg" for i, c in enumerate(label)],
            "label": [f"class {c:03d}" for c in label],
            "sha256": [f"{c:064x}" for c in content],
            "width": side[0],
            "height": side[1],
            "status": "ok",
            "detail": "",
            "sharpness": random.random(rows, np.float32),
            "brightness": random.random(rows, np.float32),
            "contrast": random.random(rows, np.float32),
            "content_width": 96,
            "content_height": 96,
            "group": group,
            **sums,
            **squares,
        }
    )


def main() -> None:
    """Time every step."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    photos = synthetic(rows)
    pins = pd.DataFrame({name: pd.Series(dtype=str) for name in splitting.PIN_COLUMNS})
    limits = filtering.Limits(min_side=32, max_ratio=4.0)
    steps: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
        "filter": lambda table: filtering.filter_photos(
            table, limits, exact_duplicates="drop", conflicting_labels="drop"
        ),
        "augment": lambda table: augmenting.augment(table, min_count=5000, ops=["hflip", "vflip"], seed=1),
        "balance": lambda table: balancing.balance(table, method="cap", max_count=20_000, seed=1),
        "stats": lambda table: normalization.add_sums(table, photos),
        "split": lambda table: splitting.split(
            table,
            photos["group"].loc[table["slot"]],
            pins,
            val=0.15,
            test=0.2,
            folds=None,
            fold=0,
            seed=1,
        ),
    }
    table, total = photos, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name, step in steps.items():
            start = time.perf_counter()
            table = step(table)
            path = Path(folder) / f"{name}.csv"
            manifest.write(table, path)
            table = manifest.read(path)
            seconds = time.perf_counter() - start
            total += seconds
            print(f"{name:<8} {len(table):>9,} rows  {seconds:6.1f} s")
    print(f"all      {rows:>9,} photos {total:5.1f} s, {total / 60:.2f} of the limit of 60 s")


if __name__ == "__main__":
    main()
