"""Shared builders: photo tables without pixels, and small real photos on disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from handlens import samples

Table = Callable[..., pd.DataFrame]


def photos_table(labels: list[str], **columns: object) -> pd.DataFrame:
    """Build a photos table of readable 100 x 100 photos, one per label; `columns` replace defaults."""
    n = len(labels)
    number = np.arange(n)
    values: dict[str, object] = {
        "photo_id": [f"{i:016x}" for i in number],
        "slot": number,
        "path": [f"{label}/{i:05d}.jpg" for i, label in enumerate(labels)],
        "label": labels,
        "sha256": [f"{i:064x}" for i in number],
        "width": 100,
        "height": 100,
        "status": "ok",
        "detail": "",
        "sharpness": 50.0,
        "brightness": 120.0,
        "contrast": 40.0,
        "content_width": 96,
        "content_height": 96,
        "group": number,
        **columns,
    }
    return pd.DataFrame(values)


@pytest.fixture
def make_photos() -> Table:
    return photos_table


@pytest.fixture(scope="session")
def solar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default sample: 2,223 real photos in four class folders, fetched once per session."""
    folder = tmp_path_factory.mktemp("sample") / "raw"
    samples.sample("solar", folder)
    return folder


@pytest.fixture(scope="session")
def food(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The colour sample: 542 real JPEGs of 307 × 172 px, by path, fetched once per session."""
    folder = tmp_path_factory.mktemp("sample") / "food"
    samples.sample("food", folder)
    return sorted(folder.glob("*/*"))
