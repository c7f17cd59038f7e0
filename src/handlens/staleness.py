"""Do files belong to the present parameters and code? Answered from `dvc.lock`, without the data.

DVC records for each stage the hashes of what it read and wrote, and its parameters. A file is outdated when
its content is not what was recorded, or when anything that its stage or a stage before it read has changed
since: a parameter, a script, a table. Photos and weights need not be there; folders of many files are taken
on trust, unless a `.dvc` file beside them records their hash.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from handlens.errors import UserError
from handlens.params import read_yaml

SMALL_FOLDER = 500  # files; larger folders are data, not code or metrics


class Lock:
    """The stages of a `dvc.lock` and the present state of what they read."""

    def __init__(self, path: Path, params_file: Path, models: Iterable[str]) -> None:
        self.stages: Mapping[str, Any] = read_yaml(path).get("stages") or {}
        self.params_file = params_file
        self.params = read_yaml(params_file)
        self.models = set(models)
        self.writer = {
            Path(out["path"]): name
            for name, stage in self.stages.items()
            if self.is_current(name)
            for out in stage.get("outs", [])
        }
        self.reasons: dict[str, str] = {}

    def is_current(self, stage: str) -> bool:
        """Tell whether a stage is not one of a model that was taken off the list."""
        return "@" not in stage or stage.partition("@")[2] in self.models

    def check_file(self, path: Path) -> str:
        """Say why `path` is outdated; nothing when it is not."""
        for out in (path, *path.parents):
            if out in self.writer:
                break
        else:
            return f"{path} is not an output that dvc.lock records; run 'dvc repro'"
        stage = self.writer[out]
        if hash_of(out) != recorded(self.stages[stage]["outs"], out):
            return f"{path} is not what {stage} wrote; run 'dvc repro'"
        reason = self.check_stage(stage)
        return f"{path} is outdated: {reason}; run 'dvc repro'" if reason else ""

    def check_stage(self, name: str) -> str:
        """Say what changed since a stage, or one before it, ran; nothing when nothing did."""
        if name not in self.reasons:
            self.reasons[name] = ""  # a cycle cannot be in a pipeline, but a broken file may hold one
            self.reasons[name] = self.changed_param(name) or self.changed_dep(name)
        return self.reasons[name]

    def changed_param(self, name: str) -> str:
        """Name the first parameter that is not what the stage ran with."""
        recorded_params = self.stages[name].get("params", {}).get(self.params_file.as_posix(), {})
        for key, value in recorded_params.items():
            if look_up(self.params, key) != value:
                return f"{key} in {self.params_file} changed since {name} ran"
        return ""

    def changed_dep(self, name: str) -> str:
        """Name the first thing the stage read that is not the same now, looking into earlier stages."""
        for dep in self.stages[name].get("deps", []):
            path = Path(dep["path"])
            if path == self.params_file:  # its values are compared one by one
                continue
            now = self.present_hash(path, dep.get("nfiles", 1))
            if now and now != dep.get("md5"):
                return f"{path} changed since {name} ran"
            for out, writer in self.writer.items():
                if out == path or path in out.parents or out in path.parents:
                    reason = self.check_stage(writer)
                    if reason:
                        return reason
        return ""

    def present_hash(self, path: Path, files: int) -> str:
        """Give the hash of an input as it is now, or nothing where it cannot be known cheaply."""
        if path in self.writer:
            return recorded(self.stages[self.writer[path]]["outs"], path)
        record = path.with_name(path.name + ".dvc")
        if record.exists():
            return recorded(read_yaml(record).get("outs", []), Path(path.name))
        return hash_of(path) if path.exists() and files <= SMALL_FOLDER else ""


def outdated(files: Iterable[Path], lock_file: Path, params_file: Path) -> dict[Path, str]:
    """Say for each of `files` that does not belong to the present parameters and code why not."""
    try:
        data = read_yaml(params_file)
        models = [*(data.get("models") or []), *(data.get("distill") or {})]
        lock = Lock(lock_file, params_file, models)
        reasons = {path: lock.check_file(path) for path in files}
    except UserError as error:
        return dict.fromkeys(files, str(error))
    except (AttributeError, KeyError, TypeError) as error:
        return dict.fromkeys(files, f"{lock_file} is not a lock file of DVC ({error!r})")
    return {path: reason for path, reason in reasons.items() if reason}


def recorded(entries: Iterable[Mapping[str, Any]], path: Path) -> str:
    """Give the hash that a list of outputs holds for `path`."""
    return next(str(entry["md5"]) for entry in entries if Path(entry["path"]) == path)


def look_up(params: Any, key: str) -> Any:
    """Follow a dotted key into nested mappings; None where it leads nowhere."""
    for part in key.split("."):
        params = params.get(part) if isinstance(params, Mapping) else None
    return params


def hash_of(path: Path) -> str:
    """Hash a file or folder as DVC 3 does: MD5 of the bytes, or of the JSON list of a folder's files."""
    if not path.exists():
        return ""
    if not path.is_dir():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    files = sorted(
        (file.relative_to(path).as_posix(), file)
        for file in path.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    )
    text = json.dumps([{"md5": hash_of(file), "relpath": name} for name, file in files])
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"
