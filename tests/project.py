"""A real project in a temporary folder: the tracked files of this repository, real photos, tiny models."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
CLASSES = {
    "mono-ok": "单晶 正常",
    "mono-defect": "单晶 缺陷",
    "poly-ok": "poly ok",
}

TINY: dict[str, Any] = {
    "input_size": 32,
    "models": ["small", "other"],
    "recipes": {
        "small": {"arch": "tiny", "epochs": 2},
        "other": {"arch": "tiny", "epochs": 1},
        "third": {"arch": "tiny", "epochs": 1},
    },
    "scan": {"store_size": 32},
    "augment": {"min_count": 14},
    "balance": {"max_count": 20},
    "evaluate": {"bootstrap": 100},
    "export": {"models": ["small"]},
    "gate": {"floors": {"accuracy": 0.0}, "class_recall": 0.0},
}


@dataclass
class Project:
    """A Git and DVC project with its commands."""

    folder: Path

    def run(self, *command: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the virtual environment in the project; a failure shows its output."""
        result = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1", **env},
            capture_output=True,
            text=True,
        )
        if check and result.returncode != 0:
            raise AssertionError(f"{' '.join(command)}\n{result.stdout}\n{result.stderr}")
        return result

    def repro(self, *arguments: str, **env: str) -> set[str]:
        """Run `dvc repro` and return the stages that really ran (not those restored from the cache)."""
        return ran(self.run("dvc", "repro", *arguments, **env).stdout)

    def params(self) -> dict[str, Any]:
        """Read params.yaml."""
        data: dict[str, Any] = YAML(typ="safe").load(self.folder / "params.yaml")
        return data

    def change(self, key: str, value: Any) -> None:
        """Set one dotted key of params.yaml, keeping the rest and its comments."""
        yaml = YAML()
        data = yaml.load(self.folder / "params.yaml")
        *path, last = key.split(".")
        node = data
        for part in path:
            node = node[part]
        node[last] = value
        yaml.dump(data, self.folder / "params.yaml")


def ran(output: str) -> set[str]:
    """Name the stages that `dvc repro` says it ran."""
    return set(re.findall(r"^Running stage '([^']+)'", output, re.MULTILINE))


def merge(into: Any, values: dict[str, Any]) -> None:
    """Put nested values over a YAML mapping."""
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def make_project(folder: Path, values: dict[str, Any] | None = None) -> Project:
    """Copy the tracked and new files of this repository, with `values` put over params.yaml; commit them."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock" and not name.startswith(("metrics/", "plots/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    yaml = YAML()
    data = yaml.load(folder / "params.yaml")
    merge(data, values or TINY)
    yaml.dump(data, folder / "params.yaml")
    project = Project(folder)
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "config", "user.name", "test"],
        ["git", "config", "user.email", "test@example.com"],
        ["git", "add", "-A"],
        ["git", "commit", "-qm", "start"],
    ):
        project.run(*command)
    return project


def solar_photos(sample: Path, per_class: int, target: Path) -> None:
    """Copy `per_class` real photos of three classes of the sample, under Chinese names with spaces."""
    for label, name in CLASSES.items():
        (target / name).mkdir(parents=True, exist_ok=True)
        for photo in sorted((sample / label).iterdir())[:per_class]:
            shutil.copyfile(photo, target / name / photo.name)
