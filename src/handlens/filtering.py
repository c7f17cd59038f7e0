"""Keep or drop each photo, with a reason: a table of all raw files in, the same rows with a verdict out."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from handlens.errors import UserError

REASONS = {
    "not_in_class_list": "its class is not in filter.classes",
    "too_small": "the shorter side is below filter.min_side",
    "too_elongated": "longer side / shorter side is above filter.max_ratio",
    "too_blurred": "sharpness is below filter.min_sharpness",
    "too_dark": "brightness is below filter.min_brightness",
    "too_bright": "brightness is above filter.max_brightness",
    "low_contrast": "contrast is below filter.min_contrast",
    "conflicting_label": "the same photo lies in two classes",
    "exact_duplicate": "another file of the class has the same content",
}


QUALITY_LIMITS = ("min_sharpness", "min_brightness", "max_brightness", "min_contrast")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a photo must hold to be kept; None: not asked."""

    min_side: int
    max_ratio: float
    min_sharpness: float | None = None
    min_brightness: float | None = None
    max_brightness: float | None = None
    min_contrast: float | None = None
    classes: list[str] | None = None


def filter_photos(
    photos: pd.DataFrame,
    limits: Limits,
    *,
    exact_duplicates: Literal["drop", "keep"],
    conflicting_labels: Literal["drop", "majority", "stop"],
) -> pd.DataFrame:
    """Judge every row of the photos table; the first reason that applies is the one given.

    Returns the columns photo_id, path, label, slot, status, detail, in the order of `photos`.
    """
    require_known_classes(photos, limits.classes)
    verdict = photos[["photo_id", "path", "label", "slot", "status", "detail"]].copy()
    for reason, applies, detail in measured_reasons(photos, limits):
        mark(verdict, applies, reason, detail)
    mark_conflicts(verdict, photos["group"], conflicting_labels)
    if exact_duplicates == "drop":
        mark_repeats(verdict, photos["sha256"])
    require_two_classes(verdict)
    return verdict


def require_known_classes(photos: pd.DataFrame, classes: list[str] | None) -> None:
    """Refuse a class list that names folders that do not exist."""
    found = sorted(set(photos["label"].unique()) - {""})
    missing = [name for name in classes or [] if name not in found]
    if missing:
        raise UserError(
            f"filter.classes: there is no class folder {missing[0]!r} in the raw photos; "
            f"found: {', '.join(found)}"
        )


def measured_reasons(
    photos: pd.DataFrame, limits: Limits
) -> list[tuple[str, "pd.Series[bool]", "pd.Series[str]"]]:
    """List (reason, which rows it applies to, what was measured) for every limit that is set."""
    short = photos[["width", "height"]].min(axis=1)
    ratio = photos[["width", "height"]].max(axis=1) / short.clip(lower=1)
    reasons = []
    if limits.classes is not None:
        absent = ~photos["label"].isin(limits.classes)
        reasons.append(("not_in_class_list", absent, photos["label"]))
    reasons.append(("too_small", short < limits.min_side, short))
    reasons.append(("too_elongated", ratio > limits.max_ratio, ratio))
    for reason, column, low, high in (
        ("too_blurred", "sharpness", limits.min_sharpness, None),
        ("too_dark", "brightness", limits.min_brightness, None),
        ("too_bright", "brightness", None, limits.max_brightness),
        ("low_contrast", "contrast", limits.min_contrast, None),
    ):
        if low is not None:
            reasons.append((reason, photos[column] < low, photos[column]))
        if high is not None:
            reasons.append((reason, photos[column] > high, photos[column]))
    return reasons


def mark(verdict: pd.DataFrame, applies: "pd.Series[bool]", reason: str, measured: "pd.Series[str]") -> None:
    """Give `reason` to the rows that still count as ok and to which it applies."""
    rows = applies & (verdict["status"] == "ok")
    verdict.loc[rows, "detail"] = [
        f"{value:.4g}" if isinstance(value, float) else str(value) for value in measured[rows]
    ]
    verdict.loc[rows, "status"] = reason


def mark_conflicts(
    verdict: pd.DataFrame, group: "pd.Series[int]", policy: Literal["drop", "majority", "stop"]
) -> None:
    """Handle near-duplicate groups whose kept photos lie in several classes."""
    kept = verdict[verdict["status"] == "ok"].assign(group=group)
    members = kept[kept.groupby("group")["label"].transform("nunique") > 1]
    if members.empty:
        return
    paths = members.groupby("group")["path"].agg(", ".join)
    if policy == "stop":
        raise UserError(
            f"{len(paths)} photo(s) lie in several classes, first: {paths.iloc[0]}. Keep each in one class "
            "folder, or set filter.conflicting_labels to drop or majority."
        )
    losers = members if policy == "drop" else members[~in_majority(members)]
    verdict.loc[losers.index, "status"] = "conflicting_label"
    verdict.loc[losers.index, "detail"] = "one photo in several classes: " + losers["group"].map(paths)


def in_majority(members: pd.DataFrame) -> "pd.Series[bool]":
    """Tell which members carry the label that most of their group carries; nobody wins a tie."""
    votes = members.groupby(["group", "label"])["path"].transform("size")
    most = votes.groupby(members["group"]).transform("max")
    leading = members.assign(leads=votes == most)
    leaders = leading[leading["leads"]].groupby("group")["label"].nunique()
    alone: pd.Series[bool] = leading["leads"] & (leading["group"].map(leaders) == 1)
    return alone


def mark_repeats(verdict: pd.DataFrame, sha256: "pd.Series[str]") -> None:
    """Keep the first row of every content, by path."""
    kept = verdict[verdict["status"] == "ok"].assign(sha256=sha256).sort_values("path")
    first = kept.groupby("sha256")["path"].transform("first")
    repeats = kept.index[kept["path"] != first]
    verdict.loc[repeats, "detail"] = "same content as " + first[repeats]
    verdict.loc[repeats, "status"] = "exact_duplicate"


def require_two_classes(verdict: pd.DataFrame) -> None:
    """Refuse to go on with nothing to tell apart."""
    left = sorted(verdict.loc[verdict["status"] == "ok", "label"].unique())
    if len(left) < 2:
        counts = verdict["status"].value_counts()
        reasons = ", ".join(f"{reason} {count}" for reason, count in counts.items())
        raise UserError(
            f"after filtering {len(left)} class is left ({reasons}); a classifier needs at least two. "
            "Loosen the limits under filter: in params.yaml, or add photos of another class."
        )


def review_groups(photos: pd.DataFrame, most: int) -> list[list[tuple[str, int]]]:
    """List near-duplicate groups to look at, as (path, slot): torn labels first, then the largest."""
    members = photos.loc[photos["slot"] >= 0, ["path", "label", "slot", "group"]]
    members = members[members.duplicated("group", keep=False)]
    sizes = members.groupby("group").agg(labels=("label", "nunique"), photos=("path", "size"))
    chosen = sizes.sort_values(["labels", "photos"], ascending=False, kind="stable").index[:most]
    by_group = dict(iter(members.groupby("group")))
    return [list(zip(by_group[number]["path"], by_group[number]["slot"], strict=True)) for number in chosen]


def summary(verdict: pd.DataFrame) -> dict[str, int]:
    """Count photos, kept ones and every reason that occurred."""
    counts = verdict["status"].value_counts()
    reasons = {str(reason): int(counts[reason]) for reason in sorted(counts.index) if reason != "ok"}
    kept = int(counts.get("ok", 0))
    classes = verdict.loc[verdict["status"] == "ok", "label"].nunique()
    return {"photos": len(verdict), "kept": kept, "classes": classes, **reasons}
