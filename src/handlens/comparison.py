"""Compare models: one row each, the winner by validation score, and who is really worse than it.

The winner is chosen on validation photos, so its test scores stay honest. Whether the others are worse on the
test photos is tested on the very same photos, group by group.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from handlens.errors import UserError

Floats = NDArray[np.float64]

FLIPS = 10_000  # sign flips of a permutation test
CHUNK = 1_000  # flips at once
SIGNIFICANT = 0.05
TOGETHER = ("curves", "reliability", "precision_recall", "roc")  # plotted for all models at once
TABLES = ("outcomes", "confusion", *TOGETHER[1:])  # what the comparison reads of each model's evaluation


def leaderboard(
    scores: Mapping[str, Mapping[str, float]],
    outcomes: Mapping[str, pd.DataFrame],
    *,
    winner_by: str,
    limits: Mapping[str, float],
    seed: int,
) -> pd.DataFrame:
    """Tabulate the models, best validation score first; one row each.

    `scores` are the metrics of each model, `outcomes` its test photos (photo_id, group, truth,
    prediction). Columns: model, winner, the metrics, `pareto_latency_ms` and `pareto_weights_mb` (no other
    model is at least as good in accuracy and in that cost), and against the winner: `difference` (of
    accuracy), `p_value` (corrected for the number of models), `verdict`.
    """
    table = pd.DataFrame([{"model": name, **values} for name, values in scores.items()])
    order = np.lexsort((table["model"], table["params"], -table[f"val_{winner_by}"]))
    table = table.iloc[order].reset_index(drop=True)
    winner = choose(table, limits)
    table.insert(1, "winner", table["model"] == winner)
    for cost in ("latency_ms", "weights_mb"):
        table[f"pareto_{cost}"] = pareto(table["accuracy"], table[cost])
    return table.merge(against(winner, outcomes, seed), on="model", validate="one_to_one")


def points(tables: Mapping[str, Mapping[str, pd.DataFrame]], board: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Put the models' plot tables below each other, in the order of `board`; curves of one line per model.

    `tables` are by model and kind (`TABLES`, curves). The confusion matrix is the winner's alone.
    """
    ordered = [tables[name] for name in board["model"]]
    found = {kind: pd.concat([t[kind] for t in ordered], ignore_index=True) for kind in TOGETHER}
    for kind in ("precision_recall", "roc"):
        found[kind] = found[kind][found[kind]["kind"] == "macro"].drop(columns=["curve", "kind"])
    winner = board["model"][board["winner"]].iloc[0]
    return {**found, "confusion": tables[winner]["confusion"]}


def choose(table: pd.DataFrame, limits: Mapping[str, float]) -> str:
    """Name the first model of `table` that keeps all `limits` (greatest value by cost)."""
    fits = np.ones(len(table), bool)
    for cost, limit in limits.items():
        fits &= table[cost].to_numpy() <= limit
    if not fits.any():
        least = ", ".join(f"{cost} {table[cost].min():g}" for cost in limits)
        raise UserError(
            f"no model keeps compare.limits {dict(limits)}; the least values are {least}. "
            "Raise the limits, or add a smaller model to models."
        )
    return str(table["model"][int(np.argmax(fits))])


def pareto(score: "pd.Series[float]", cost: "pd.Series[float]") -> list[bool]:
    """Tell which models no other one beats: at least as good in both, better in one."""
    s, c = score.to_numpy(), cost.to_numpy()
    as_good = (s[None] >= s[:, None]) & (c[None] <= c[:, None])
    better = (s[None] > s[:, None]) | (c[None] < c[:, None])
    beaten = np.logical_and(as_good, better).sum(axis=1)
    return [count == 0 for count in beaten.tolist()]


def against(winner: str, outcomes: Mapping[str, pd.DataFrame], seed: int) -> pd.DataFrame:
    """Test every model against the winner: model, difference, p_value, verdict.

    The p-values are those of `sign_flip_test` after Holm's correction.
    """
    best = hits(outcomes[winner])
    names = [name for name in outcomes if name != winner]
    differences, raw = [], []
    for name in names:
        difference = hits(outcomes[name])["hit"] - require_same_photos(best, outcomes[name], name)["hit"]
        differences.append(float(difference.mean()))
        raw.append(sign_flip_test(difference.groupby(best["group"]).sum().to_numpy(), seed=seed))
    corrected = holm(raw)
    rows = [
        (name, difference, p, verdict(difference, p))
        for name, difference, p in zip(names, differences, corrected, strict=True)
    ]
    rows.append((winner, 0.0, np.nan, "winner"))
    return pd.DataFrame(rows, columns=["model", "difference", "p_value", "verdict"])


def hits(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Index by photo: hit (1 or 0) and group."""
    hit = (outcomes["truth"] == outcomes["prediction"]).astype(np.int64)
    return pd.DataFrame({"hit": hit, "group": outcomes["group"]}).set_index(outcomes["photo_id"])


def require_same_photos(best: pd.DataFrame, other: pd.DataFrame, name: str) -> pd.DataFrame:
    """Refuse to compare models that were tested on different photos."""
    if set(best.index) != set(other["photo_id"]):
        raise UserError(
            f"{name} was tested on other photos than the winner ({len(other)} against {len(best)}). "
            "Run 'dvc repro' to evaluate both on the same split."
        )
    return best


def verdict(difference: float, p_value: float) -> str:
    """Put a difference of accuracy to the winner into words."""
    if p_value >= SIGNIFICANT:
        return "no difference shown"
    return "worse" if difference < 0 else "better"


def sign_flip_test(differences: Floats, *, seed: int) -> float:
    """Test whether paired differences (groups,) are as often below zero as above; give the p-value.

    Two-sided permutation test by sign flips of whole groups. With groups of one photo this is McNemar's exact
    test (1947) up to the number of flips; groups keep near-duplicates from counting as independent.
    """
    moved = differences[differences != 0].astype(np.float64)
    observed = abs(moved.sum())
    rng = np.random.default_rng(seed)
    extreme = 0
    for _ in range(FLIPS // CHUNK):
        signs = rng.integers(0, 2, (CHUNK, len(moved))) * 2.0 - 1
        extreme += int((np.abs(signs @ moved) >= observed - 1e-9).sum())
    return (extreme + 1) / (FLIPS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979)."""
    n = len(p_values)
    order = np.argsort(p_values, kind="stable")
    steps = (n - np.arange(n)) * np.asarray(p_values, np.float64)[order]
    corrected = np.empty(n)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if n else []
    return [float(p) for p in corrected]


def summary(table: pd.DataFrame, winner_by: str) -> dict[str, float | int | str]:
    """Give the winner's numbers under constant keys, whatever the models are called."""
    winner = table[table["winner"]].iloc[0]
    keys = ["accuracy", "accuracy_low", "accuracy_high", "macro_f1", "macro_f1_low", "macro_f1_high"]
    return {
        "winner": str(winner["model"]),
        f"val_{winner_by}": float(winner[f"val_{winner_by}"]),
        **{key: float(winner[key]) for key in keys},
        "params": int(winner["params"]),
        "latency_ms": float(winner["latency_ms"]),
        "models": len(table),
        "shown_worse": int((table["verdict"] == "worse").sum()),
    }
