"""Conventions of the pipeline: what a stage reads is what dvc.yaml declares."""

import ast
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
GROUPS: dict[str, dict[str, Any]] = {
    **YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"],
    **YAML(typ="safe").load(ROOT / "web" / "dvc.yaml")["stages"],
}
# a foreach group holds its stage in `do`
STAGES = {name: group.get("do", group) for name, group in GROUPS.items()}
SOURCE = ROOT / "src" / "handlens"


def module_files(name: str) -> list[Path]:
    """Name the files that importing `handlens.x.y` runs, packages included."""
    parts = name.split(".")[1:]
    files = [SOURCE / "__init__.py"]
    for depth in range(1, len(parts) + 1):
        base = SOURCE.joinpath(*parts[:depth])
        if base.is_dir():
            files.append(base / "__init__.py")
        elif base.with_suffix(".py").exists():
            files.append(base.with_suffix(".py"))
    return files


def imported(path: Path) -> set[Path]:
    """Name the files of handlens that `path` imports itself, at any depth of its code."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "handlens":
                found.update(module_files(name))
    return found


def needed(script: Path) -> set[str]:
    """Close over imports; the networks of the zoo are loaded by name, so that its folder counts as one."""
    todo, seen = [script], {script}
    while todo:
        for path in imported(todo.pop()) - seen:
            seen.add(path)
            todo.append(path)
    return {unit(path.relative_to(ROOT)) for path in seen}


def unit(path: Path) -> str:
    """Packages below handlens are declared as folders."""
    parts = path.parts
    return "/".join(parts[:3]) if parts[:2] == ("src", "handlens") and len(parts) > 3 else path.as_posix()


def script_of(name: str) -> str:
    """Name the script of a stage: its own, or for a second group of models that of the first."""
    return {"distill": "train", "evaluate_student": "evaluate"}.get(name, name)


def declared_code(stage: dict[str, Any]) -> set[str]:
    return {dep for dep in stage["deps"] if dep.startswith(("src/", "stages/"))}


def paths_of(stage: dict[str, Any]) -> set[str]:
    """Name everything a stage declares to read or write."""
    entries = [*stage.get("deps", []), *stage.get("outs", [])]
    entries += [*stage.get("metrics", []), *stage.get("plots", [])]
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}


@pytest.mark.parametrize("name", STAGES)
def test_deps_are_what_the_script_imports(name):
    wanted = needed(ROOT / "stages" / f"{script_of(name)}.py")
    listing = "".join(f"\n      - {dep}" for dep in sorted(wanted))
    assert declared_code(STAGES[name]) == wanted, f"deps of {name} should hold{listing}"


@pytest.mark.parametrize("name", STAGES)
def test_params_read_are_params_declared(name):
    """Stages load the parameters into `p`; what they take from it is what they declare."""
    text = (ROOT / "stages" / f"{script_of(name)}.py").read_text(encoding="utf-8")
    used = set(re.findall(r"\bp\.([a-z_]+(?:\.[a-z_]+)?)", text))
    if "recipe" in used:  # params.recipe(name): the recipe put over `train:`
        used = used - {"recipe"} | {"recipes", "train"}
    if name == "train":  # a name in `models` has no entry in `distill`, which would be refused
        used -= {"distill.get"}
    declared = {re.sub(r"\.\$\{.*\}", "", key) for key in STAGES[name].get("params", [])}
    covered = {key for key in used if key in declared or key.split(".")[0] in declared}
    assert used == covered, f"{name} reads {sorted(used - covered)} without declaring it"
    sections = {key.split(".")[0] for key in used} | used
    stray = declared - sections
    assert not stray, f"{name} declares {sorted(stray)} without reading it"


@pytest.mark.parametrize("name", STAGES)
def test_every_path_of_the_command_is_declared(name):
    stage = STAGES[name]
    declared = paths_of(stage)
    words = stage["cmd"].split()
    assert words[:2] == ["python", f"stages/{script_of(name)}.py"]
    looked_at = {"data/raw"} if name == "check" else set()  # see the docstring of stages/check.py
    for word in set(words[1:]) - looked_at:
        inside = word in declared or any(path.startswith(word + "/") for path in declared)
        assert inside or "/" not in word, f"{name}: {word} is in the command but not declared"


def test_every_script_is_a_stage_and_back():
    assert {path.stem for path in (ROOT / "stages").glob("*.py")} == {script_of(name) for name in STAGES}


def test_no_stage_shadows_a_standard_module():
    assert not set(STAGES) & sys.stdlib_module_names


def test_every_stage_says_what_it_does():
    for name, stage in STAGES.items():
        assert stage.get("desc"), f"{name} has no desc"
        script = ROOT / "stages" / f"{script_of(name)}.py"
        assert ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))


def test_only_scan_reads_raw_photos():
    assert [name for name, stage in STAGES.items() if "data/raw" in stage["deps"]] == ["scan"]
