"""Shared fixtures."""

from pathlib import Path

import pytest

from handlens import samples


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: begun last, they would keep one core alone."""
    items.sort(key=lambda item: (item.get_closest_marker("e2e") is None, "zoo" not in item.path.parts))


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
