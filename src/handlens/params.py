"""The only reader of `params.yaml`: strict, typed, complete.

Types follow YAML 1.2, as DVC reads them: `1e-3` is a number, `yes` is text. There are no default values in
code; a missing key is an error. Every message names the key, the value, what was expected and the way out.
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from handlens.contract import Fit
from handlens.errors import UserError
from handlens.recipe import BatchAugment, Recipe, Student, Train
from handlens.sections import Score, Section, Share

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Op = Literal["hflip", "vflip"]
Cost = Literal["params", "macs", "weights_mb", "latency_ms"]
Kind = Literal[
    "fp32", "fp16", "int8_weights", "int8",
    "litert_fp32", "litert_fp16", "litert_int8_weights",
    "executorch_fp32", "executorch_int8",
]  # fmt: skip


class Scan(Section):
    """How photos are read, fitted and grouped."""

    store_size: Annotated[int, Field(ge=32, le=1024)]
    fit: Fit
    transparency: Literal["black", "white"]
    max_megapixels: Annotated[float, Field(gt=0)]
    duplicate_distance: Annotated[int, Field(ge=0, le=11)]
    duplicate_difference: Annotated[float, Field(ge=0, le=16)]


class Filter(Section):
    """Which photos are kept."""

    min_side: Annotated[int, Field(ge=1)]
    max_ratio: Annotated[float, Field(ge=1)]
    min_sharpness: Annotated[float, Field(ge=0)] | None
    min_brightness: Annotated[float, Field(ge=0, le=255)] | None
    max_brightness: Annotated[float, Field(ge=0, le=255)] | None
    min_contrast: Annotated[float, Field(ge=0, le=128)] | None
    exact_duplicates: Literal["drop", "keep"]
    conflicting_labels: Literal["drop", "majority", "stop"]
    classes: Annotated[list[str], Field(min_length=2)] | None


class Augment(Section):
    """Which classes get flip rows."""

    min_count: Annotated[int, Field(ge=1)] | None
    ops: Annotated[list[Op], Field(min_length=1)]


class Balance(Section):
    """Rows per class."""

    method: Literal["none", "cap", "oversample"]
    max_count: Annotated[int, Field(ge=3)]


class Split(Section):
    """Shares of the sides."""

    val: Share
    test: Share
    folds: Annotated[int, Field(ge=3, le=100)] | None
    fold: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def leave_photos_for_training(self) -> "Split":
        """Refuse shares that leave less than a tenth for training."""
        if self.val + self.test > 0.9:
            raise ValueError(
                f"val {self.val} + test {self.test} leave less than 0.1 of the photos for training"
            )
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} does not exist: folds is {self.folds}, counted from 0")
        return self


class Evaluate(Section):
    """How test predictions are judged."""

    bootstrap: Annotated[int, Field(ge=100)]
    worst: Annotated[int, Field(ge=1, le=200)]
    robustness: Annotated[int, Field(ge=10)]


class Compare(Section):
    """How the winner is named: by a validation score, among the models that keep `limits`."""

    winner_by: Literal["accuracy", "macro_f1"]
    limits: dict[Cost, Annotated[float, Field(gt=0)]]


class Limits(Section):
    """How far an exported file may be from the trained model, on all test photos."""

    min_agreement: Score
    max_difference: Score
    max_accuracy_drop: Score


class Export(Section):
    """Which models become phone files, of which kinds, and how closely these must agree."""

    models: list[Name]
    files: Annotated[dict[Kind, Limits], Field(min_length=1)]
    calibration: Annotated[int, Field(ge=16)]
    qat_epochs: Annotated[int, Field(ge=0)]
    golden: Annotated[int, Field(ge=1, le=256)]


class Gate(Section):
    """Floors and limits of the winner."""

    floors: dict[str, Score]
    ceilings: dict[str, Annotated[float, Field(ge=0)]]
    class_recall: Score | None
    class_recall_of: dict[str, Score]
    export_ceilings: dict[str, Annotated[float, Field(ge=0)]]
    max_drop: dict[str, Score]


class App(Section):
    """The page around the winner: its name, and how often the answers that it dares are right."""

    title: Annotated[str, Field(min_length=1, max_length=30)]
    precision: Annotated[float, Field(gt=0, lt=1)]
    files: Annotated[list[str], Field(min_length=1)] | None
    webgpu: bool


class Params(Section):
    """The whole of `params.yaml`."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    input_size: Annotated[int, Field(ge=32, le=1024)]
    models: Annotated[list[Name], Field(min_length=1)]
    recipes: dict[Name, Recipe]
    scan: Scan
    filter: Filter
    augment: Augment
    balance: Balance
    split: Split
    train: Train
    distill: dict[Name, Student]
    evaluate: Evaluate
    compare: Compare
    export: Export
    gate: Gate
    app: App

    @property
    def trained(self) -> list[str]:
        """Every model that is trained: those of `models`, then the students of `distill`."""
        return [*self.models, *self.distill]

    def recipe(self, name: str) -> Recipe:
        """Return the recipe `name`; an unknown one is a `UserError`."""
        if name not in self.recipes:
            raise UserError(f"recipes has no {name!r}{did_you_mean(name, list(self.recipes))}")
        return self.recipes[name]

    @model_validator(mode="after")
    def fit_together(self) -> "Params":
        """Refuse combinations that cannot work, before anything runs."""
        for section, names in {"models": self.models, "distill": self.distill}.items():
            unknown = [name for name in names if name not in self.recipes]
            if unknown:
                near = did_you_mean(unknown[0], list(self.recipes))
                raise ValueError(f"{section}: {unknown[0]!r} has no entry in recipes{near}")
        twice = sorted({name for name in self.models if self.models.count(name) > 1})
        if twice:
            raise ValueError(f"models: {twice[0]!r} is listed twice; list every model once")
        for name, student in self.distill.items():
            refuse_bad_teacher(name, student.teacher, self.models)
        stray = [name for name in self.export.models if name not in self.trained]
        if stray:
            raise ValueError(
                f"export.models: {stray[0]!r} is not in models {self.models} nor in distill "
                f"{list(self.distill)}; only trained models can be exported"
            )
        unmade = [kind for kind in self.app.files or [] if kind not in self.export.files]
        if unmade:
            raise ValueError(
                f"app.files: {unmade[0]!r} is not in export.files {list(self.export.files)}; list kinds that "
                "are made, or null for all"
            )
        if self.input_size > self.scan.store_size:
            raise ValueError(
                f"input_size: {self.input_size} is larger than scan.store_size "
                f"{self.scan.store_size}; photos are never enlarged, raise scan.store_size"
            )
        return self


def refuse_bad_teacher(student: str, teacher: str, models: list[str]) -> None:
    """Raise `ValueError` unless `teacher` learns from labels alone and `student` does not."""
    if student in models:
        raise ValueError(
            f"distill: {student!r} is in models too, where a model learns from the labels alone; "
            "take it out of models, or give the student a recipe of its own"
        )
    if teacher not in models:
        near = did_you_mean(teacher, models)
        reason = "the student itself" if teacher == student else "not in models"
        raise ValueError(
            f"distill.{student}.teacher: {teacher!r} is {reason}; a teacher is one of models{near}"
        )


def load(path: Path) -> Params:
    """Read and validate `params.yaml`.

    Raises `UserError` with one line per problem.
    """
    return validate(read_yaml(path), str(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML 1.2 mapping."""
    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing. Run this in the project's folder, or restore the file with "
            f"'git checkout {path}'."
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    except YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} is empty or not a mapping. Restore it with 'git checkout {path}'.")
    return data


def validate(data: dict[str, Any], source: str) -> Params:
    """Turn a mapping into `Params`; `source` names it in messages."""
    try:
        return Params.model_validate(with_full_recipes(data))
    except ValidationError as error:
        lines = unique([explain(problem, data) for problem in error.errors()])
        raise UserError("\n  ".join([f"{source} has {len(lines)} problem(s):", *lines])) from None


def with_full_recipes(data: dict[str, Any]) -> dict[str, Any]:
    """Put every recipe over `train:`; nested mappings are merged, `arch` defaults to the recipe's name."""
    recipes, train = data.get("recipes"), data.get("train")
    if not isinstance(recipes, dict) or not isinstance(train, dict):
        return data
    full: dict[Any, Any] = {}
    for name, recipe in recipes.items():
        if not isinstance(recipe, dict):
            full[name] = recipe
            continue
        merged: dict[str, Any] = {"arch": name, **train, **recipe}
        if isinstance(recipe.get("augment"), dict) and isinstance(train.get("augment"), dict):
            merged["augment"] = {**train["augment"], **recipe["augment"]}
        full[name] = merged
    return {**data, "recipes": full}


def explain(problem: Any, data: dict[str, Any]) -> str:
    """Say one validation problem in a sentence with key, value, expectation and nearest known key."""
    location = [str(part) for part in problem["loc"]]
    kind, value, key = problem["type"], problem["input"], ".".join(location)
    inherited = location[:1] == ["recipes"] and location[2:] not in ([], ["[key]"])
    if inherited and not in_recipe(data, location):
        key = ".".join(["train", *location[2:]])  # the recipe inherits the fault: name its origin
    if kind == "extra_forbidden":
        near = did_you_mean(location[-1], known_keys(location[:-1]))
        return f"{key} is not a parameter{near}"
    if kind == "missing":
        return f"{key} is missing; params.yaml must be complete, add it (null where it may be off)"
    if key.endswith("[key]") and kind == "literal_error":
        expected = problem["msg"].removeprefix("Input should be ")
        return f"{key.removesuffix('.[key]')} is not known; expected {expected}"
    if key.endswith("[key]"):
        key = key.removesuffix(".[key]")
        return f"{key} is not a usable name; names are made of a-z, 0-9 and _"
    message = problem["msg"].removeprefix("Value error, ")
    if not location:
        return str(message)
    if kind == "value_error":
        return f"{key}: {message}"
    expected = message.removeprefix("Input should be ")
    return f"{key} is {value!r}, expected {expected}"


def in_recipe(data: dict[str, Any], location: list[str]) -> bool:
    """Tell whether the key at `recipes.NAME.…` is written in the recipe itself."""
    node: Any = data
    for part in location:
        if isinstance(node, list):
            return True
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


SECTIONS: dict[str, type[Section]] = {
    "scan": Scan,
    "filter": Filter,
    "augment": Augment,
    "balance": Balance,
    "split": Split,
    "train": Train,
    "distill": Student,
    "evaluate": Evaluate,
    "compare": Compare,
    "export": Export,
    "gate": Gate,
    "app": App,
}


def known_keys(location: list[str]) -> list[str]:
    """List the keys that the section at `location` may have."""
    if not location:
        return list(Params.model_fields)
    if location[-1] == "augment" and len(location) > 1:
        return list(BatchAugment.model_fields)
    if location[0] == "recipes":
        return list(Recipe.model_fields)
    if location[:2] == ["export", "files"]:
        return list(Limits.model_fields)
    return list(SECTIONS[location[0]].model_fields) if location[0] in SECTIONS else []


def did_you_mean(word: str, known: list[str]) -> str:
    """Suggest the nearest known word, or list all when none is near."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known here: {', '.join(known)}" if known else ""


def unique(lines: list[str]) -> list[str]:
    """Drop repeated lines, keep the order."""
    return list(dict.fromkeys(lines))
