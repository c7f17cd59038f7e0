import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import photos_table

from handlens.errors import UserError
from handlens.filtering import Limits, filter_photos, summary

LIMITS = Limits(min_side=32, max_ratio=4.0)


def judge(photos: pd.DataFrame, limits: Limits = LIMITS, **policies: str) -> list[str]:
    chosen = {"exact_duplicates": "drop", "conflicting_labels": "drop", **policies}
    return list(filter_photos(photos, limits, **chosen)["status"])  # type: ignore[arg-type]


def test_limits_are_inclusive_and_the_detail_says_what_was_measured():
    photos = photos_table(["a"] * 4 + ["b"], width=[32, 31, 400, 410, 99], height=[32, 90, 100, 100, 99])
    verdict = filter_photos(photos, LIMITS, exact_duplicates="drop", conflicting_labels="drop")
    assert list(verdict["status"]) == ["ok", "too_small", "ok", "too_elongated", "ok"]
    assert list(verdict["detail"]) == ["", "31", "", "4.1", ""]


def test_quality_limits_apply_only_when_set():
    photos = photos_table(["a", "a", "b", "b"], sharpness=[1.0, 9, 9, 9], brightness=[99.0, 99, 3, 250])
    assert judge(photos) == ["ok"] * 4
    strict = Limits(min_side=1, max_ratio=9, min_sharpness=5, min_brightness=10, max_brightness=251)
    assert judge(photos, strict) == ["too_blurred", "ok", "too_dark", "ok"]


def test_what_scan_refused_stays_refused_and_needs_no_size():
    photos = photos_table(["a", "a", "b"], status=["unreadable", "ok", "ok"], width=[0, 99, 99])
    assert judge(photos) == ["unreadable", "ok", "ok"]


def test_first_of_equal_files_stays():
    photos = photos_table(["a", "a", "a", "b"], sha256=["x", "x", "y", "z"], group=[0, 0, 2, 3])
    assert judge(photos) == ["ok", "exact_duplicate", "ok", "ok"]
    assert judge(photos, exact_duplicates="keep") == ["ok"] * 4


def test_conflicting_labels_by_policy():
    photos = photos_table(["a", "b", "b", "a", "b"], group=[0, 0, 0, 3, 4])
    assert judge(photos) == ["conflicting_label"] * 3 + ["ok", "ok"]
    assert judge(photos, conflicting_labels="majority") == ["conflicting_label", "ok", "ok", "ok", "ok"]
    with pytest.raises(
        UserError, match=r"1 photo\(s\) lie in several classes, first: a/00000.jpg, b/00001.jpg"
    ):
        judge(photos, conflicting_labels="stop")


def test_majority_without_one_drops_all():
    photos = photos_table(["a", "b", "a", "b"], group=[0, 0, 2, 3])
    assert judge(photos, conflicting_labels="majority") == ["conflicting_label"] * 2 + ["ok", "ok"]


def test_class_list_selects_and_an_unknown_class_lists_the_known_ones():
    photos = photos_table(["可回收物 鼠标", "b", "c"])
    chosen = Limits(min_side=1, max_ratio=9, classes=["可回收物 鼠标", "c"])
    assert judge(photos, chosen) == ["ok", "not_in_class_list", "ok"]
    with pytest.raises(UserError, match=r"no class folder 'd'.*b, c, 可回收物 鼠标"):
        judge(photos, Limits(min_side=1, max_ratio=9, classes=["c", "d"]))


def test_fewer_than_two_classes_left_is_an_error_that_counts_reasons():
    with pytest.raises(UserError, match=r"1 class is left .*too_small 1"):
        judge(photos_table(["a", "b"], width=[99, 5]))


def test_summary_counts_every_file_once():
    photos = photos_table(["a", "a", "b", ""], status=["ok", "unreadable", "ok", "not_in_class_folder"])
    verdict = filter_photos(photos, LIMITS, exact_duplicates="drop", conflicting_labels="drop")
    assert summary(verdict) == {
        "photos": 4,
        "kept": 2,
        "classes": 2,
        "not_in_class_folder": 1,
        "unreadable": 1,
    }


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 300), st.integers(1, 300)), min_size=1))
def test_kept_photos_hold_every_limit_and_no_row_is_lost(rows):
    rows = [("a", 100, 100), ("b", 100, 100), *rows]
    photos = photos_table([r[0] for r in rows], width=[r[1] for r in rows], height=[r[2] for r in rows])
    verdict = filter_photos(photos, LIMITS, exact_duplicates="drop", conflicting_labels="drop")
    assert list(verdict["photo_id"]) == list(photos["photo_id"])
    kept = photos[verdict["status"] == "ok"]
    short, long = kept[["width", "height"]].min(axis=1), kept[["width", "height"]].max(axis=1)
    assert (short >= 32).all()
    assert (long <= 4 * short).all()
    dropped = photos[verdict["status"] != "ok"]
    short, long = dropped[["width", "height"]].min(axis=1), dropped[["width", "height"]].max(axis=1)
    assert ((short < 32) | (long > 4 * short)).all()
