"""Train, validation and test sides by whole groups, stratified by class.

A *unit* is what must stay together: photos connected by near-duplicate groups or by a name in the `group`
column of `pins.csv` (one patient, one object, one video). Units go to sides so that every class comes as near
to its share as whole units allow. Flips and repetitions live in the train side only.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from handlens.errors import UserError
from handlens.manifest import SPLITS
from handlens.sampling import rank

Ints = NDArray[np.int64]
PIN_COLUMNS = ["path", "split", "group"]


@dataclass(frozen=True)
class Plan:
    """How many photos of each class every side should get: `targets` (sides, classes)."""

    sides: list[str]
    targets: Ints


def split(
    rows: pd.DataFrame,
    groups: "pd.Series[int]",
    pins: pd.DataFrame,
    *,
    val: float,
    test: float,
    folds: int | None,
    fold: int,
    seed: int,
) -> pd.DataFrame:
    """Put every row on a side; flips and repetitions of val and test photos are left out.

    `groups` is the near-duplicate group of each row; `pins` has the columns path, split, group (empty: free).
    With `folds`, the sides are k equal folds: number `fold` is the test side, the next one validation.
    Returns the rows with the columns group (the unit) and split.
    Raises `UserError` for classes that are too small and pins that cannot be met.
    """
    require_sane_pins(pins, folds)
    original = ((rows["op"] == "none") & (rows["copy"] == 0)).to_numpy()
    unit = units(rows["path"], groups, pins)
    classes = sorted(rows["label"].unique())
    table = count_units(rows[original], unit[original], classes, seed)
    plan = make_plan(table.counts.sum(axis=0), classes, val, test, folds)
    fixed = pinned_sides(rows["path"], unit, table.units, pins)
    sides = allocate(table, plan, fixed, classes)
    names = np.array(plan.sides if folds is None else fold_names(folds, fold))
    side_of_unit = pd.Series(names[sides], index=table.units)
    side = side_of_unit.reindex(unit).to_numpy()
    kept = (side == "train") | original
    placed: pd.DataFrame = rows.assign(group=unit, split=side)[kept]
    return placed.reset_index(drop=True)


def read_pins(path: Path, known: "pd.Series[str] | None" = None) -> pd.DataFrame:
    """Read `pins.csv`: a header path,split,group, then a row for every photo that the user decided about.

    `known` are the paths of all raw files; a pin of another file is an error, as are a second pin of one
    photo and another header.
    """
    try:
        pins = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path} is missing. Restore it with 'git checkout {path}'.") from None
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{path} is not a CSV table in UTF-8: {error}") from None
    if list(pins.columns) != PIN_COLUMNS:
        raise UserError(
            f"{path} has the columns {list(pins.columns)}, expected the first line {','.join(PIN_COLUMNS)}"
        )
    foreign = pins.iloc[:0] if known is None else pins[~pins["path"].isin(known)]
    for what, wrong in (
        ("is not among the raw photos", foreign),
        ("stands there twice", pins[pins["path"].duplicated()]),
    ):
        if len(wrong):
            raise UserError(
                f"{path}: {wrong['path'].iloc[0]!r} {what} ({len(wrong)} such row(s)). Paths are relative "
                "to data/raw, as in data/filter.csv."
            )
    return pins


def pins_of(sides: pd.DataFrame, pins: pd.DataFrame) -> pd.DataFrame:
    """Pin every photo to the side it is on; photos that come later cannot move it. User groups stay."""
    originals = sides.loc[(sides["op"] == "none") & (sides["copy"] == 0), ["path", "split"]]
    frozen = originals.assign(group=pinned(originals["path"], pins, "group"))
    others = pins[~pins["path"].isin(frozen["path"])]
    return pd.concat([others, frozen]).sort_values("path")[PIN_COLUMNS]


@dataclass(frozen=True)
class UnitTable:
    """Units in seeded order: their ids (U,), and how many photos of each class they hold (U, classes)."""

    units: Ints
    counts: Ints


def require_sane_pins(pins: pd.DataFrame, folds: int | None) -> None:
    """Refuse a side that does not exist, and sides together with folds."""
    named = pins["split"] != ""
    wrong = pins[named & ~pins["split"].isin(SPLITS)]
    if len(wrong):
        path, side = wrong.iloc[0][["path", "split"]]
        raise UserError(f"pins.csv: {path} has the split {side!r}, expected train, val, test or nothing")
    if folds is not None and named.any():
        raise UserError(
            f"pins.csv pins {int(named.sum())} photos to sides, but split.folds is {folds}: folds decide "
            "the sides. Set split.folds to null, or empty the split column (groups may stay)."
        )


def pinned(paths: "pd.Series[str]", pins: pd.DataFrame, column: str) -> NDArray[np.object_]:
    """Look up what `pins` says of each path in `column`; empty where it says nothing."""
    said = pins.loc[pins[column] != "", ["path", column]].set_index("path")[column]
    if said.empty:
        return np.full(len(paths), "", dtype=object)
    found: NDArray[np.object_] = paths.map(said).fillna("").to_numpy(dtype=object)
    return found


def units(paths: "pd.Series[str]", groups: "pd.Series[int]", pins: pd.DataFrame) -> Ints:
    """Join near-duplicate groups that share a user's group name; name a unit by its smallest group."""
    unit: Ints = np.array(groups, np.int64)
    name = pinned(paths, pins, "group")
    linked = name != ""
    if not linked.any():
        return unit
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    group_index: Ints
    group_numbers, group_index = np.unique(unit, return_inverse=True)
    names, name_index = np.unique(name[linked], return_inverse=True)
    n = len(group_numbers) + len(names)
    edges = (group_index[linked], len(group_numbers) + name_index)
    graph = coo_array((np.ones(len(name_index), np.int8), edges), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    smallest = np.full(component.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(smallest, component[: len(group_numbers)], group_numbers)
    joined: Ints = smallest[component[group_index]]
    return joined


def count_units(rows: pd.DataFrame, unit: Ints, classes: list[str], seed: int) -> UnitTable:
    """Count photos per unit and class; units come in seeded order of their first photo."""
    label = pd.Categorical(rows["label"], categories=classes).codes
    first = pd.DataFrame({"unit": unit, "rank": rank(rows["photo_id"], seed, "split")})
    order = first.groupby("unit")["rank"].min().sort_values(kind="stable")
    place = pd.Series(np.arange(len(order)), index=order.index)
    counts: Ints = np.zeros((len(order), len(classes)), np.int64)
    np.add.at(counts, (place.reindex(unit).to_numpy(), label), 1)
    return UnitTable(order.index.to_numpy(np.int64), counts)


def make_plan(photos: Ints, classes: list[str], val: float, test: float, folds: int | None) -> Plan:
    """Say how many of `photos` (classes,) each side should get; at least one, else `UserError`."""
    least = 3 if folds is None else folds
    for name, count in zip(classes, photos, strict=True):
        if count < least:
            raise too_small(name, int(count), least)
    if folds is not None:
        dealt = photos.cumsum() - photos  # each class goes on dealing where the one before stopped
        sizes = [(photos + (folds - 1 - side + dealt) % folds) // folds for side in range(folds)]
        return Plan([str(side) for side in range(folds)], np.stack(sizes))
    test_photos = np.maximum(1, np.round(photos * test)).astype(np.int64)
    val_photos = np.maximum(1, np.round(photos * val)).astype(np.int64)
    train_photos = np.maximum(1, photos - test_photos - val_photos)
    return Plan(list(SPLITS), np.stack([train_photos, val_photos, test_photos]))


def too_small(name: str, count: int, least: int) -> UserError:
    """Say which class cannot be split and what the smallest workable numbers are."""
    return UserError(
        f"class {name!r} has {count} usable photo group(s); at least {least} are needed, one for every side "
        "(near-duplicates count as one). Add photos, loosen filter:, or leave it out by filter.classes."
    )


def pinned_sides(paths: "pd.Series[str]", unit: Ints, order: Ints, pins: pd.DataFrame) -> Ints:
    """Give the side index that pins ask of each unit in `order`, -1 where free."""
    wanted = pinned(paths, pins, "split")
    asked = pd.DataFrame({"unit": unit, "split": wanted, "path": paths.to_numpy()})
    asked = asked[asked["split"] != ""].drop_duplicates(["unit", "split"])
    clash = asked[asked.duplicated("unit", keep=False)].sort_values(["unit", "path"])
    if len(clash):
        first, second = clash.iloc[0], clash.iloc[1]
        raise UserError(
            f"pins.csv puts {first['path']} on {first['split']} and {second['path']} on {second['split']}, "
            "but they are near-duplicates or share a group and must stay together. Pin both to one side."
        )
    index = asked["split"].map({name: i for i, name in enumerate(SPLITS)})
    sides = pd.Series(index.to_numpy(), index=asked["unit"]).reindex(order).fillna(-1)
    result: Ints = sides.to_numpy(np.int64)
    return result


def allocate(table: UnitTable, plan: Plan, fixed: Ints, classes: list[str]) -> Ints:
    """Choose a side for every unit (U,): pins first, then large units greedily, then single photos."""
    counts = table.counts
    sides: Ints = fixed.copy()
    missing = plan.targets.copy()
    for side in range(len(plan.sides)):
        missing[side] -= counts[fixed == side].sum(axis=0)
    place_large(sides, missing, counts)
    for c in range(len(classes)):
        singles = np.flatnonzero((sides < 0) & (counts[:, c] == 1))
        sides[singles] = np.repeat(np.arange(len(plan.sides)), quotas(missing[:, c], len(singles)))
    repair(sides, counts, fixed, plan, classes)
    return sides


def place_large(sides: Ints, missing: Ints, counts: Ints) -> None:
    """Give free units of several photos, largest first, to the side that misses most of what they hold."""
    size = counts.sum(axis=1)
    large = np.flatnonzero((sides < 0) & (size > 1))
    large = large[np.argsort(-size[large], kind="stable")]
    mixed = (counts[large] > 0).sum(axis=1) > 1
    main_class = counts[large].argmax(axis=1)
    for u, several, c in zip(large, mixed, main_class, strict=True):
        if several:  # how much a side's squared distance from its targets shrinks when it takes this unit
            side = int((counts[u] * (2 * missing - counts[u])).sum(axis=1).argmax())
            missing[side] -= counts[u]
        else:  # the same, for one class
            side = int(missing[:, c].argmax())
            missing[side, c] -= size[u]
        sides[u] = side


def quotas(missing: Ints, photos: int) -> Ints:
    """Share `photos` single photos among sides that miss `missing` each, never below zero."""
    wanted = np.maximum(missing, 0)
    for _ in range(int(abs(wanted.sum() - photos))):
        if wanted.sum() > photos:  # large units overshot elsewhere: the fullest side waits
            wanted[wanted.argmax()] -= 1
        else:
            wanted[(missing - wanted).argmax()] += 1
    return wanted


def repair(sides: Ints, counts: Ints, fixed: Ints, plan: Plan, classes: list[str]) -> None:
    """Give every side a photo of every class by moving the smallest free unit that can be spared."""
    for c, name in enumerate(classes):
        holds = counts[:, c] > 0
        for side in range(len(plan.sides)):
            if (holds & (sides == side)).any():
                continue
            per_side = np.bincount(sides[holds], minlength=len(plan.sides))
            spare = np.flatnonzero(holds & (fixed < 0) & (per_side[sides] > 1))
            if len(spare) == 0:
                raise too_small(name, int(holds.sum()), len(plan.sides))
            moved = spare[np.lexsort((counts[spare].sum(axis=1), (counts[spare] > 0).sum(axis=1)))[0]]
            sides[moved] = side
    for c, name in enumerate(classes):  # a unit of several classes may have been missed where it left
        if len(np.unique(sides[counts[:, c] > 0])) < len(plan.sides):
            raise too_small(name, int((counts[:, c] > 0).sum()), len(plan.sides))


def fold_names(folds: int, fold: int) -> list[str]:
    """Name the folds as sides: `fold` is test, the next one val, the others train."""
    names = ["train"] * folds
    names[(fold + 1) % folds] = "val"
    names[fold] = "test"
    return names


def summary(rows: pd.DataFrame) -> dict[str, int | float]:
    """Count photos and rows per side, and how far the worst class is from the overall shares."""
    original = rows[(rows["op"] == "none") & (rows["copy"] == 0)]
    photos = {side: int((original["split"] == side).sum()) for side in SPLITS}
    shares = pd.crosstab(original["label"], original["split"], normalize="index")
    overall = original["split"].value_counts(normalize=True)
    return {
        **{f"{side}_photos": count for side, count in photos.items()},
        "train_rows": int((rows["split"] == "train").sum()),
        "classes": int(rows["label"].nunique()),
        "groups": int(original["group"].nunique()),
        "largest_share_error": round(float((shares - overall).abs().to_numpy().max()), 4),
    }
