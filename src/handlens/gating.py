"""The gate: declared rules, judged one by one for the winner; a pass needs evidence for every rule.

A rule passes, fails, or cannot be judged: its value is missing, not a finite number, out of range, or comes
from a file that is broken or outdated.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from handlens.evidence import Evidence

Verdict = Literal["pass", "fail", "cannot judge"]
EXIT_CODES: dict[Verdict, int] = {"pass": 0, "fail": 1, "cannot judge": 2}
SLACK = 1e-9  # rounding of decimals: a floor of 0.9 holds for 0.9


@dataclass(frozen=True)
class Rule:
    """One judged rule: `value` must be `relation` to `limit`; `reason` says why it was not judged."""

    name: str
    value: float | None
    relation: Literal[">=", "<=", "=="]
    limit: float
    verdict: Verdict
    reason: str = ""


def compared(
    name: str,
    found: tuple[float, str],
    relation: Literal[">=", "<=", "=="],
    limit: float,
    *,
    score: bool = False,
) -> Rule:
    """Judge a value (or the reason why there is none) against a limit; a `score` lies in 0..1."""
    value, reason = found
    if not reason and not math.isfinite(value):
        reason = f"it is {value}"
    if not reason and score and not 0 <= value <= 1:
        reason = f"{value:g} is not between 0 and 1"
    if reason:
        return Rule(name, None, relation, limit, "cannot judge", reason)
    held = {
        ">=": value >= limit - SLACK,
        "<=": value <= limit + SLACK,
        "==": abs(value - limit) <= SLACK,
    }
    return Rule(name, value, relation, limit, "pass" if held[relation] else "fail")


def judge(
    evidence: Evidence,
    *,
    floors: Mapping[str, float],
    ceilings: Mapping[str, float],
    class_recall: float | None,
    class_recall_of: Mapping[str, float],
    export_ceilings: Mapping[str, float],
) -> list[Rule]:
    """Judge all rules that need nothing but the present.

    `floors` and `ceilings` are by key of the winner's test scores (`accuracy_low` is the interval's lower
    end), `class_recall` is for every class, `class_recall_of` for single ones and goes before it,
    `export_ceilings` are by key of the export metrics. Always judged: no leakage, the export agrees.
    """
    sources, winner = evidence.sources, evidence.winner
    scores, exported = sources.evaluation(winner), sources.exported(winner)
    leakage = compared("leakage", evidence.number(sources.split, "leakage"), "==", 0)
    return [
        leakage,
        *(
            compared(key, evidence.number(scores, key), ">=", floor, score=True)
            for key, floor in floors.items()
        ),
        *(compared(key, evidence.number(scores, key), "<=", top) for key, top in ceilings.items()),
        *judge_recalls(evidence, class_recall, class_recall_of),
        judge_export(evidence),
        *(
            compared(f"export {key}", evidence.number(exported, key), "<=", top)
            for key, top in export_ceilings.items()
        ),
    ]


def judge_recalls(evidence: Evidence, every: float | None, single: Mapping[str, float]) -> list[Rule]:
    """Judge the recall floors of the classes; a class of `single` that is unknown cannot be judged."""
    names = list(evidence.recalls) or ["every class"]
    floors = {} if every is None else dict.fromkeys(names, every)
    return [
        compared(f"recall of {name}", evidence.recall(name), ">=", floor, score=True)
        for name, floor in {**floors, **single}.items()
    ]


def judge_export(evidence: Evidence) -> Rule:
    """Judge whether the winner's exported files agree with it: `passed` must be true, nothing else."""
    path = evidence.sources.exported(evidence.winner)
    if path in evidence.unusable:
        reason = evidence.unusable[path]
        if reason.endswith("is missing"):
            reason += f"; add {evidence.winner} to export.models and run 'dvc repro'"
        return Rule("export agrees", None, "==", 1, "cannot judge", reason)
    passed = evidence.values[path].get("passed")
    if not isinstance(passed, bool):
        reason = f"{path} says passed is {passed!r}, expected true or false"
        return Rule("export agrees", None, "==", 1, "cannot judge", reason)
    if passed:
        return Rule("export agrees", 1, "==", 1, "pass")
    reasons = evidence.values[path].get("reasons")
    return Rule("export agrees", 0, "==", 1, "fail", str(reasons or f"see {path}"))


def judge_drops(now: Evidence, before: Evidence, max_drop: Mapping[str, float], revision: str) -> list[Rule]:
    """Judge how far the shipped scores fell: the winner now against the winner of `revision`."""
    here, there = now.sources.evaluation(now.winner), before.sources.evaluation(before.winner)
    rules = []
    for key, drop in max_drop.items():
        value, reason = now.number(here, key)
        old, old_reason = before.number(there, key)
        if old_reason:
            old_reason = f"at {revision}: {old_reason}"
        name = f"{key} against {before.winner} at {revision}"
        rules.append(compared(name, (value, reason or old_reason), ">=", old - drop, score=True))
    return rules


def verdict_of(rules: Sequence[Rule]) -> Verdict:
    """Sum up: a failed rule fails all; else a rule that cannot be judged leaves all unjudged."""
    found = {rule.verdict for rule in rules}
    return "fail" if "fail" in found else "pass" if found == {"pass"} else "cannot judge"


def sentence(rule: Rule) -> str:
    """Say how a rule that did not pass was missed."""
    if rule.verdict == "cannot judge":
        return f"{rule.name} cannot be judged: {rule.reason}"
    if rule.reason:
        return f"{rule.name}: {rule.reason}"
    return f"{rule.name} is {shown(rule.value)}, must be {rule.relation} {shown(rule.limit)}"


def shown(value: float | None) -> str:
    """Write a value to four significant decimals; a dash when there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:,.4g}"


def report(rules: Sequence[Rule], winner: str) -> dict[str, Any]:
    """Give the verdict as flat values for DVC, and all rules beside them."""
    verdicts = [rule.verdict for rule in rules]
    return {
        "verdict": verdict_of(rules),
        "winner": winner,
        "passed": verdicts.count("pass"),
        "failed": verdicts.count("fail"),
        "not_judged": verdicts.count("cannot judge"),
        "rules": [asdict(rule) for rule in rules],
    }


def to_json(rules: Sequence[Rule], winner: str) -> str:
    """Write the report as JSON text; a limit that is not known is null."""
    found = report(rules, winner)
    for rule in found["rules"]:
        rule["limit"] = rule["limit"] if math.isfinite(rule["limit"]) else None
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write(rules: Sequence[Rule], winner: str, path: Path) -> None:
    """Write the report as a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_json(rules, winner), encoding="utf-8")
