from pathlib import Path

import pytest
from textures import ROOT

from handlens import checking

PROJECTS = sorted((ROOT / "projects").glob("*.yaml"))


def test_the_articles_projects_are_there() -> None:
    assert [path.stem for path in PROJECTS] == ["flowers-inception", "mobile", "senet", "waste-resnet18"]


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.stem)
def test_every_project_is_a_complete_and_valid_params_file(path: Path) -> None:
    checked = checking.check(path)
    assert set(checked.models) <= set(checked.recipes)
