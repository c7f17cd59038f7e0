import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import photos_table

from handlens import splitting
from handlens.errors import UserError
from handlens.splitting import PIN_COLUMNS, read_pins, split, summary

NO_PINS = pd.DataFrame({name: pd.Series(dtype=str) for name in PIN_COLUMNS})


def rows_of(labels: list[str]) -> pd.DataFrame:
    table = photos_table(labels)[["photo_id", "path", "label", "slot"]]
    return table.assign(op="none", copy=0)


def place(rows: pd.DataFrame, groups: list[int] | None = None, pins: pd.DataFrame = NO_PINS, **options):
    chosen = {"val": 0.15, "test": 0.2, "folds": None, "fold": 0, "seed": 0, **options}
    return split(rows, pd.Series(groups or list(range(len(rows)))), pins, **chosen)


def pins_of(**columns: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(columns)
    return pd.DataFrame({name: table.get(name, "") for name in PIN_COLUMNS})


def test_classes_get_exact_shares_when_photos_are_free():
    sides = place(rows_of(["a"] * 100 + ["b"] * 40))
    counts = sides.groupby(["label", "split"]).size().to_dict()
    assert counts == {
        ("a", "train"): 65, ("a", "val"): 15, ("a", "test"): 20,
        ("b", "train"): 26, ("b", "val"): 6, ("b", "test"): 8,
    }  # fmt: skip


def test_flips_and_copies_live_in_train_only():
    originals = rows_of(["a"] * 10 + ["b"] * 10)
    rows = pd.concat([originals, originals.assign(op="hflip"), originals.assign(copy=1)], ignore_index=True)
    sides = place(rows, [*range(20)] * 3)
    elsewhere = sides[sides["split"] != "train"]
    assert (elsewhere["op"] == "none").all()
    assert (elsewhere["copy"] == 0).all()
    assert len(sides[sides["split"] == "train"]) == 3 * len(set(sides[sides["split"] == "train"]["path"]))


@st.composite
def grouped(draw):
    """Photos of two or three classes in groups that may hold several photos, and several classes."""
    n = draw(st.integers(6, 80))
    labels = [*"abcabcabc", *draw(st.lists(st.sampled_from("abc"), min_size=n, max_size=n))]
    groups = draw(st.lists(st.integers(0, 40), min_size=n, max_size=n))
    return labels, [*range(100, 109), *groups]


@given(grouped(), st.integers(0, 3), st.sampled_from([None, 3]))
@settings(max_examples=150)
def test_no_group_is_on_two_sides_and_every_side_has_every_class(photos, seed, folds):
    labels, groups = photos
    sides = place(rows_of(labels), groups, seed=seed, folds=folds)
    assert len(sides) == len(labels)
    of_group = sides.assign(given=groups).groupby("given")["split"].nunique()
    assert (of_group == 1).all()
    assert set(zip(sides["label"], sides["split"], strict=True)) == {
        (label, side) for label in set(labels) for side in ("train", "val", "test")
    }


@given(grouped(), st.integers(0, 3))
def test_shares_are_as_near_as_the_largest_group_allows(photos, seed):
    labels, groups = photos
    sides = place(rows_of(labels), groups, seed=seed)
    largest = max(groups.count(group) for group in set(groups))
    for side, share in (("val", 0.15), ("test", 0.2)):
        assert abs((sides["split"] == side).sum() - share * len(labels)) <= 2 * largest + 3


def test_users_groups_and_near_duplicates_are_joined():
    rows = rows_of(["a"] * 20 + ["b"] * 20)
    # photos 0 and 1 look alike, 1 and 2 show the same object: all three stay together
    pins = pins_of(path=[rows["path"][1], rows["path"][2]], group=["cup", "cup"])
    for seed in range(10):
        sides = place(rows, [0, 0, *range(2, 40)], pins, seed=seed)
        assert sides["split"][:3].nunique() == 1
        assert (sides["group"][:3] == 0).all()


def test_pins_decide_and_free_photos_fill_the_rest():
    rows = rows_of(["a"] * 50 + ["b"] * 50)
    first = place(rows)
    pins = splitting.pins_of(first, NO_PINS)
    grown = pd.concat([rows, rows_of(["a"] * 150).iloc[100:].assign(slot=range(100, 150))])
    second = place(grown.reset_index(drop=True), pins=pins, seed=99)
    assert list(second["split"][:100]) == list(first["split"])
    assert (second["label"] == "a").sum() == 100
    assert second[second["label"] == "a"]["split"].value_counts().to_dict() == {
        "train": 65, "val": 15, "test": 20,
    }  # fmt: skip


def test_pins_that_tear_a_group_apart_name_both_photos():
    rows = rows_of(["a"] * 5 + ["b"] * 5)
    pins = pins_of(path=[rows["path"][0], rows["path"][1]], split=["train", "test"])
    with pytest.raises(UserError, match=r"a/00000.jpg on train and a/00001.jpg on test"):
        place(rows, [0, 0, *range(2, 10)], pins)


def test_unknown_side_and_pins_with_folds_are_refused():
    rows = rows_of(["a"] * 5 + ["b"] * 5)
    with pytest.raises(UserError, match="'dev', expected train, val, test"):
        place(rows, pins=pins_of(path=[rows["path"][0]], split=["dev"]))
    with pytest.raises(UserError, match=r"folds is 5"):
        place(rows, pins=pins_of(path=[rows["path"][0]], split=["test"]), folds=5)


def test_every_photo_is_tested_in_exactly_one_fold():
    rows = rows_of(["a"] * 23 + ["b"] * 12)
    tested = [
        set(s.loc[s["split"] == "test", "path"]) for s in (place(rows, folds=5, fold=k) for k in range(5))
    ]
    assert sorted(path for fold in tested for path in fold) == sorted(rows["path"])
    assert {len(fold) for fold in tested} == {7}


@pytest.mark.parametrize("photos", [1, 2])
def test_a_class_too_small_names_the_least_number(photos):
    with pytest.raises(UserError, match=rf"class 'b' has {photos} usable photo group\(s\); at least 3"):
        place(rows_of(["a"] * 20 + ["b"] * photos))


def test_a_class_of_one_group_cannot_be_split():
    with pytest.raises(UserError, match=r"class 'b' has 1 usable photo group"):
        place(rows_of(["a"] * 20 + ["b"] * 6), [*range(20), *[20] * 6])


def test_the_seed_decides_and_order_does_not():
    rows = rows_of(["a"] * 60 + ["b"] * 60)
    one, other = place(rows), place(rows, seed=1)
    assert list(one["split"]) != list(other["split"])
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = place(rows.iloc[order].reset_index(drop=True), list(order))
    assert shuffled.set_index("path")["split"].to_dict() == one.set_index("path")["split"].to_dict()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,side\n", "expected the first line path,split,group"),
        ("path,split,group\na/9.jpg,test,\n", "'a/9.jpg' is not among the raw photos"),
        ("path,split,group\na/1.jpg,test,\na/1.jpg,,x\n", "'a/1.jpg' stands there twice"),
        ("", "not a CSV table"),
    ],
)
def test_bad_pins_files_are_refused(tmp_path, text, message):
    path = tmp_path / "pins.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_pins(path, pd.Series(["a/1.jpg"]))


def test_summary_counts_sides():
    sides = place(rows_of(["a"] * 20 + ["b"] * 20))
    counts = summary(sides)
    assert (counts["train_photos"], counts["val_photos"], counts["test_photos"]) == (26, 6, 8)
    assert counts["largest_share_error"] == 0
