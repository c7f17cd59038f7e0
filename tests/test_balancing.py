import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from tables import photos_table

from handlens.balancing import balance


def rows(labels: list[str], ops: list[str] | None = None) -> pd.DataFrame:
    table = photos_table(labels)[["photo_id", "path", "label", "slot"]]
    return table.assign(op=ops or ["none"] * len(labels))


labels = st.lists(st.sampled_from("abc"), min_size=1, max_size=80)


def test_cap_drops_flips_before_originals():
    table = rows(["a"] * 6, ["hflip", "none", "none", "hflip", "none", "none"])
    capped = balance(table, method="cap", max_count=5, seed=3)
    assert sorted(capped["op"]) == ["hflip", "none", "none", "none", "none"]


@given(labels, st.integers(1, 40), st.integers(0, 5))
def test_cap_holds_for_every_class_and_leaves_small_ones_whole(names, max_count, seed):
    capped = balance(rows(names), method="cap", max_count=max_count, seed=seed)
    sizes = capped["label"].value_counts()
    assert {name: min(names.count(name), max_count) for name in set(names)} == sizes.to_dict()
    assert (capped["copy"] == 0).all()


@given(labels, st.integers(1, 40), st.integers(0, 5))
def test_oversample_fills_small_classes_evenly(names, max_count, seed):
    filled = balance(rows(names), method="oversample", max_count=max_count, seed=seed)
    sizes = filled["label"].value_counts()
    assert {name: max(names.count(name), max_count) for name in set(names)} == sizes.to_dict()
    assert not filled.duplicated(["photo_id", "op", "copy"]).any()
    times = filled.groupby("photo_id").size()
    spread = times.groupby(filled.groupby("photo_id")["label"].first()).agg(lambda t: t.max() - t.min())
    assert (spread <= 1).all()
    assert (filled.groupby("photo_id")["copy"].min() == 0).all()


def test_none_changes_nothing_but_adds_the_column():
    table = rows(["a", "b", "b"])
    pd.testing.assert_frame_equal(balance(table, method="none", max_count=3, seed=0), table.assign(copy=0))


def test_a_grown_class_keeps_most_of_its_choice():
    small = balance(rows(["a"] * 100), method="cap", max_count=50, seed=0)
    grown = balance(rows(["a"] * 110), method="cap", max_count=50, seed=0)
    assert len(set(small["photo_id"]) & set(grown["photo_id"])) >= 40
