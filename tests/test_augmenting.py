import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from tables import photos_table

from handlens.augmenting import augment


def kept(labels: list[str]) -> pd.DataFrame:
    return photos_table(labels)[["photo_id", "path", "label", "slot", "status"]]


def test_small_classes_are_filled_first_by_one_flip_then_the_other():
    rows = augment(kept(["a"] * 3 + ["b"] * 10), min_count=8, ops=["hflip", "vflip"], seed=1)
    assert rows.groupby(["label", "op"]).size().to_dict() == {
        ("a", "none"): 3,
        ("a", "hflip"): 3,
        ("a", "vflip"): 2,
        ("b", "none"): 10,
    }


def test_off_keeps_just_the_kept_photos():
    verdict = kept(["a", "b", "b"]).assign(status=["ok", "too_small", "ok"])
    rows = augment(verdict, min_count=None, ops=["hflip"], seed=1)
    assert list(rows["op"]) == ["none", "none"]
    assert list(rows["label"]) == ["a", "b"]


def test_seed_decides_which_photos_are_flipped():
    def flipped(seed: int) -> set[str]:
        rows = augment(kept(["a"] * 40), min_count=50, ops=["hflip"], seed=seed)
        return set(rows.loc[rows["op"] == "hflip", "photo_id"])

    assert flipped(1) == flipped(1)
    assert flipped(1) != flipped(2)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), st.integers(1, 50), st.integers(0, 9))
def test_no_class_exceeds_the_threshold_by_flips_and_no_row_repeats(labels, min_count, seed):
    rows = augment(kept(labels), min_count=min_count, ops=["hflip", "vflip"], seed=seed)
    assert not rows.duplicated(["photo_id", "op"]).any()
    for label, group in rows.groupby("label"):
        photos = labels.count(label)
        assert len(group) == max(photos, min(min_count, 3 * photos))
