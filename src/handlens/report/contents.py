"""The report's contents as plain values, section by section; how they look stands in the template."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from handlens import boards, filtering, inspection, reasons
from handlens.gating import Rule, sentence, shown, verdict_of
from handlens.report import charts, thumbs
from handlens.report.products import Products

SENTENCES = {**reasons.REASONS, **filtering.REASONS}
OF_A_REASON = 6  # photos shown for each reason to drop some
GROUPS, OF_A_GROUP = 6, 4  # near-duplicates shown
PAIRS = 12  # confused pairs listed
FEW = 30  # test photos of a class, below which its scores are called uncertain

Values = dict[str, Any]


def collect(products: Products, rules: Sequence[Rule]) -> Values:
    """Gather everything that the template shows. Raises `UserError` for a product that is missing."""
    return {
        "winner": products.winner,
        "title": products.params.app.title,
        "scores": products.numbers(f"evaluate/{products.winner}"),
        "photos": photos(products),
        "models": models(products),
        "details": details(products),
        "inspected": inspected(products),
        "suspects": suspects(products),
        "exports": exports(products),
        "gate": gate(rules),
        "card": card(products),
    }


def records(table: pd.DataFrame) -> list[Values]:
    """Give the rows of a table by column name."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


# --- the photos ---


def photos(products: Products) -> Values:
    """Tell what became of the raw photos: counts per class and step, drops, duplicates, split."""
    split = products.step("split")
    return {
        "counts": class_counts(products, split),
        "numbers": products.numbers("filter"),
        "drops": drops(products),
        "duplicates": duplicates(products),
        "split": products.numbers("split"),
        "contract": products.contract,
    }


def class_counts(products: Products, split: pd.DataFrame) -> list[Values]:
    """Count per class: files read, photos kept, rows after augment and balance, photos of each side."""
    first = split[(split["op"] == "none") & (split["copy"] == 0)]
    verdict = products.step("filter")
    columns = {
        "read": verdict["label"].value_counts(),
        "kept": verdict["label"][verdict["status"] == "ok"].value_counts(),
        "augmented": products.step("augment")["label"].value_counts(),
        "balanced": products.step("balance")["label"].value_counts(),
        **{side: first["label"][first["split"] == side].value_counts() for side in ("train", "val", "test")},
    }
    table = pd.DataFrame(columns).reindex(columns["read"].index.sort_values()).fillna(0).astype(int)
    named = table.drop(index="", errors="ignore").rename_axis("name").reset_index()
    rows = [{**row, "total": False} for row in records(named)]
    return [*rows, *records(table.sum().to_frame().T.assign(name="all files", total=True))]


def drops(products: Products) -> list[Values]:
    """List the reasons for which files were dropped, the most frequent first, each with a few photos."""
    verdict = products.step("filter")
    dropped = verdict[verdict["status"] != "ok"]
    return [
        {
            "reason": reason,
            "sentence": SENTENCES[str(reason)],
            "count": len(rows),
            "shown": [example(products, row) for row in records(rows[:OF_A_REASON])],
        }
        for reason, rows in sorted(dropped.groupby("status"), key=lambda item: -len(item[1]))
    ]


def example(products: Products, row: Mapping[Any, Any]) -> Values:
    """Give a dropped file's path and detail, and its thumbnail if it has pixels."""
    picture = thumbs.photo(products.store.take(np.array([row["slot"]]))[0]) if row["slot"] >= 0 else ""
    return {"path": row["path"], "detail": row["detail"], "picture": picture}


def duplicates(products: Products) -> Values:
    """Count groups of near-duplicates among all readable photos, and show a few."""
    readable = products.photos[products.photos["slot"] >= 0]
    members = readable[readable.duplicated("group", keep=False)]
    groups = [
        {
            "photos": len(group),
            "shown": [
                {"path": path, "picture": thumbs.photo(products.store.take(np.array([slot]))[0])}
                for path, slot in group[:OF_A_GROUP]
            ],
        }
        for group in filtering.review_groups(products.photos, GROUPS)
    ]
    return {"groups": members["group"].nunique(), "photos": len(members), "shown": groups}


# --- the models ---


def models(products: Products) -> Values:
    """Give the leaderboard with its intervals, and the learning curves of all models."""
    board = products.board
    names = list(board["model"])
    curves = products.points("compare/curves")
    low, high = float(board["accuracy_low"].min()), float(board["accuracy_high"].max())
    span = max(high - low, 0.02)
    axis = charts.Axis(low - 0.05 * span, high + 0.05 * span, 0, 100)
    places = {key: axis.place(board[key]) for key in ("accuracy_low", "accuracy", "accuracy_high")}
    rows = [
        {
            "name": row["model"],
            "winner": row["winner"],
            "cells": boards.cells(row)[1:],
            "colour": charts.colours(names)[row["model"]],
            "place": {key: place.iloc[number] for key, place in places.items()},
        }
        for number, row in enumerate(records(board))
    ]
    return {
        "headings": list(boards.HEADINGS.values())[1:],
        "rows": rows,
        "ends": (axis.low, axis.high),
        "test_photos": int(board["test_photos"].iloc[0]),
        "curves": [charts.learning(curves, names, score) for score in ("loss", "accuracy")],
        "relations": [
            charts.relation(
                products.points("compare/precision_recall"), names, "recall", "precision", "Precision, recall"
            ),
            charts.relation(products.points("compare/roc"), names, "false_positive_rate", "recall", "ROC"),
        ],
    }


def details(products: Products) -> Values:
    """Give the winner's test scores: confusion, classes, pairs, calibration, robustness."""
    confusion = products.of_winner("confusion")
    names = list(products.contract.classes)
    matrix = confusion.pivot_table("photos", "actual", "predicted", sort=False).loc[names, names].astype(int)
    scores = products.of_winner("scores").set_index("score")["value"]
    bins = products.of_winner("reliability")
    return {
        "confusion": [
            (name, [(int(count), count / max(sum(row), 1)) for count in row])
            for name, row in zip(names, matrix.to_numpy(), strict=True)
        ],
        "classes": records(products.of_winner("classes")),
        "pairs": records(products.of_winner("pairs")[:PAIRS]),
        "scores": {name: float(value) for name, value in scores.items()},
        "reliability": charts.reliability(bins),
        "kinds": list(dict.fromkeys(bins["kind"])),
        "robustness": robustness(products),
    }


def robustness(products: Products) -> Values:
    """Give accuracy by corruption and strength, and how much of the accuracy on clean photos is lost."""
    table = products.of_winner("robustness")
    clean = table[table["strength"] == 0].iloc[0]
    spoiled = table[table["strength"] > 0]
    rows = [
        {
            "name": name,
            "cells": [
                {**cell, "lost": max(0.0, 1 - cell["accuracy"] / max(float(clean["accuracy"]), 1e-9))}
                for cell in records(cells.sort_values("strength"))
            ],
        }
        for name, cells in spoiled.groupby("corruption", sort=False)
    ]
    worst = spoiled.sort_values(["accuracy", "corruption"]).iloc[0].to_dict()
    return {"clean": float(clean["accuracy"]), "photos": int(clean["photos"]), "rows": rows, "worst": worst}


# --- photos to look at ---


def inspected(products: Products) -> dict[str, list[Values]]:
    """Give the worst mistakes and the least certain photos, with thumbnail and heat."""
    table, heats = products.inspected
    squares = products.store.take(table["slot"].to_numpy(np.int64))
    cards = [
        {
            **row,
            "right": row["prediction"] == row["truth"],
            "picture": thumbs.photo(square),
            "glow": thumbs.glow(heat) if heat.size else "",
            "hottest": thumbs.hottest(heat) if heat.size else "",
        }
        for row, square, heat in zip(records(table), squares, heats, strict=True)
    ]
    return {
        why: [card for card in cards if card["why"] == why]
        for why in (inspection.MISTAKE, inspection.UNCERTAIN)
    }


def suspects(products: Products) -> Values:
    """Give the suspected label errors, with the thumbnails of the first ones."""
    table = products.suspects
    rows = table[: products.params.evaluate.worst]
    squares = products.store.take(inspection.slots_of(rows, products.step("split")))
    return {
        "count": len(table),
        "shown": [
            {**row, "picture": thumbs.photo(square)}
            for row, square in zip(records(rows), squares, strict=True)
        ],
    }


# --- phone, gate, card ---


def exports(products: Products) -> list[Values]:
    """Give the numbers of every exported file, by model and kind."""
    found = []
    for name in products.params.export.models:
        numbers = products.numbers(f"export/{name}")
        for kind in products.params.export.files:
            values = {
                key: numbers[f"{kind}_{key}"]
                for key in ("passed", "agreement", "max_difference", "accuracy", "megabytes", "ms")
            }
            found.append({"model": name, "kind": kind, **values})
    return found


def gate(rules: Sequence[Rule]) -> Values:
    """Give the verdict, its rules, and a sentence for each that did not pass."""
    rows = [
        (rule.name, shown(rule.value), f"{rule.relation} {shown(rule.limit)}", rule.verdict) for rule in rules
    ]
    missed = [sentence(rule) for rule in rules if rule.verdict != "pass"]
    return {"verdict": verdict_of(rules), "rules": rows, "missed": missed}


def card(products: Products) -> Values:
    """Give the model card: what the winner is, what it learned from, what is known of its limits."""
    found = products.card
    return {
        "model": found,
        "recipe": flat(found.recipe),
        "train": products.numbers(f"train/{products.winner}"),
        "limits": limits(products),
    }


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """List nested values as (dotted key, text); null and empty ones are left out."""
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += flat(value, f"{prefix}{key}.")
        elif value is not None:
            found.append((prefix + key, str(value)))
    return found


def limits(products: Products) -> list[str]:
    """Say in sentences what the test showed the winner to be weak at, and what the test cannot show."""
    classes = products.of_winner("classes")
    weakest = classes.sort_values(["recall", "class"]).iloc[0]
    few = classes[classes["support"] < FEW]
    tested = robustness(products)
    worst = tested["worst"]
    said = [
        f"It names one of {len(classes)} classes whatever it is shown, also for a photo of something else.",
        "It was tested on photos from the same folder that it learned from; photos of another camera, place "
        "or season were not.",
        f"It misses most in {weakest['class']}: it finds {weakest['recall']:.0%} of them "
        f"(95 % interval {weakest['recall_low']:.0%} to {weakest['recall_high']:.0%}).",
        f"Of the ways to spoil a photo, {worst['corruption']} ({worst['setting']}) hurts most: accuracy "
        f"{worst['accuracy']:.0%} instead of {tested['clean']:.0%} on {tested['photos']} photos.",
    ]
    pairs = products.of_winner("pairs")
    if len(pairs):
        pair = pairs.iloc[0]
        said.append(
            f"The commonest mistake is {pair['actual']} taken for {pair['predicted']}: "
            f"{pair['photos']} photos, {pair['share']:.0%} of that class."
        )
    if len(few):
        said.append(
            f"{len(few)} of {len(classes)} classes have fewer than {FEW} test photos; their scores are "
            "uncertain, as their intervals say."
        )
    if len(products.suspects):
        said.append(
            f"{len(products.suspects)} labels of validation and test photos are suspect; if they are wrong, "
            "so are the scores by that much."
        )
    return said
