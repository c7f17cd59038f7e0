import copy
from pathlib import Path
from typing import Any

import pytest

from handlens import params
from handlens.errors import UserError

FILE = Path("params.yaml")
SHIPPED = params.read_yaml(FILE)
PUPIL = {"teacher": "mobilenet_v2", "temperature": 4, "weight": 0.5}


def changed(key: str, value: Any) -> dict[str, Any]:
    """Copy the shipped parameters with one dotted key changed; None as value of `drop` removes it."""
    data = copy.deepcopy(SHIPPED)
    *path, last = key.split(".")
    node = data
    for part in path:
        node = node[part]
    node[last] = value
    return data


def refused(data: dict[str, Any]) -> str:
    with pytest.raises(UserError) as error:
        params.validate(data, "params.yaml")
    return str(error.value)


def test_shipped_file_is_valid_and_recipes_are_complete():
    checked = params.load(FILE)
    recipe = checked.recipes["mobilenet_v2_transfer"]
    assert (recipe.arch, recipe.weights, recipe.label_smoothing) == (
        "mobilenet_v2",
        "imagenet",
        checked.train.label_smoothing,
    )
    assert checked.recipes["mobilenet_v2"].arch == "mobilenet_v2"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.epocs", 3, "train.epocs is not a parameter; did you mean epochs?"),
        ("fliter", {}, "fliter is not a parameter; did you mean filter?"),
        ("recipes.squeezenet.lrr", 1, "recipes.squeezenet.lrr is not a parameter; did you mean lr?"),
        ("filter.min_side", "abc", "filter.min_side is 'abc', expected a valid integer"),
        ("filter.min_side", 10.5, "filter.min_side is 10.5, expected a valid integer"),
        ("filter.min_side", True, "filter.min_side is True, expected a valid integer"),
        ("train.lr", -1, "train.lr is -1, expected greater than 0"),
        ("train.lr", float("nan"), "train.lr is nan, expected a finite number"),
        ("recipes.mobilenet_v2_transfer.lr", "fast", "recipes.mobilenet_v2_transfer.lr is 'fast'"),
        ("scan.fit", "stretch", "scan.fit is 'stretch', expected 'letterbox', 'crop' or 'squash'"),
        ("augment.ops", ["rotate"], "augment.ops.0 is 'rotate', expected 'hflip' or 'vflip'"),
        ("split.test", 1.5, "split.test is 1.5, expected less than 1"),
        ("models", [], "models is [], expected"),
        ("models", ["mobilenet_v3"], "'mobilenet_v3' has no entry in recipes; did you mean mobilenet_v2?"),
        ("models", ["squeezenet", "squeezenet"], "'squeezenet' is listed twice"),
        ("distill", {"squeezenet": PUPIL}, "distill: 'squeezenet' is in models too"),
        ("distill", {"resnet": PUPIL}, "distill: 'resnet' has no entry in recipes; did you mean resnet18?"),
        ("distill.resnet18", {**PUPIL, "teacher": "resnet18"}, "teacher: 'resnet18' is the student itself"),
        (
            "distill.resnet18",
            {**PUPIL, "teacher": "mobilenet"},
            "is not in models; a teacher is one of models; did",
        ),
        (
            "distill.resnet18",
            {**PUPIL, "teacher": "resnet18_transfer"},
            "'resnet18_transfer' is not in models",
        ),
        ("distill.resnet18", {**PUPIL, "weight": 0}, "distill.resnet18.weight is 0, expected greater than 0"),
        (
            "distill.resnet18",
            {**PUPIL, "temprature": 2},
            "temprature is not a parameter; did you mean temperature?",
        ),
        ("export.models", ["resnet18"], "export.models: 'resnet18' is not in models"),
        ("app.files", ["fp8"], "app.files: 'fp8' is not in export.files"),
        ("input_size", 128, "input_size: 128 is larger than scan.store_size 96"),
        ("recipes.Bad-Name", {}, "recipes.Bad-Name is not a usable name"),
        ("filter", None, "filter is None, expected a valid dictionary"),
    ],
)
def test_faults_name_key_value_and_expectation(key, value, message):
    assert message in refused(changed(key, value))


def test_missing_key_is_named_once_even_though_every_recipe_inherits_it():
    data = copy.deepcopy(SHIPPED)
    del data["train"]["epochs"]
    text = refused(data)
    assert text.count("train.epochs is missing") == 1
    assert "1 problem" in text


def test_students_are_trained_and_can_be_exported():
    data = changed("distill", {"resnet18": PUPIL, "resnet18_transfer": {**PUPIL, "teacher": "squeezenet"}})
    data["export"]["models"] = ["resnet18"]
    assert params.validate(data, "x").trained == [*SHIPPED["models"], "resnet18", "resnet18_transfer"]


def test_missing_section_is_named():
    data = copy.deepcopy(SHIPPED)
    del data["balance"]
    assert "balance is missing" in refused(data)


def test_all_problems_are_listed_at_once():
    data = changed("train.lr", -1)
    data["filter"]["max_ratio"] = 0
    assert "2 problem(s)" in refused(data)


def test_numbers_follow_yaml_1_2(tmp_path):
    text = FILE.read_text(encoding="utf-8")
    assert "lr: 0.002" in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace("lr: 0.002", "lr: 2e-3"), encoding="utf-8")
    assert params.load(path).train.lr == 0.002
    path.write_text(text.replace("hflip: true", "hflip: yes"), encoding="utf-8")
    with pytest.raises(UserError, match=r"train\.augment\.hflip is 'yes'"):
        params.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a: [1", "not valid YAML"), (b"", "empty or not a mapping"), (b"\xff\xfe\x00", "not UTF-8")],
)
def test_broken_files_are_one_sentence(tmp_path, content, message):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        params.load(path)


def test_missing_file_says_where_to_be(tmp_path):
    with pytest.raises(UserError, match=r"is missing. Run this in the project's folder"):
        params.load(tmp_path / "params.yaml")


def test_nested_mappings_of_a_recipe_are_merged():
    data = changed("recipes.squeezenet.augment", {"hflip": False})
    recipe = params.validate(data, "x").recipes["squeezenet"]
    assert recipe.augment.hflip is False
    assert recipe.augment.vflip == SHIPPED["train"]["augment"]["vflip"]
