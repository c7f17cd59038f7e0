"""The gate's verdict on a project as it lies there: what `handlens gate` prints and the report shows."""

from collections.abc import Sequence
from pathlib import Path

from handlens import evidence, gating, params, revisions, staleness


def judge(
    params_file: Path, metrics: Path, plots: Path, lock: Path, against: str | None = None
) -> tuple[Sequence[gating.Rule], str]:
    """Judge the winner by the rules of `gate:`; outdated metrics are no evidence. Returns rules and winner.

    With `against`, a Git revision, the rules of `gate.max_drop` are judged, too. Raises `UserError` when
    there is nothing to judge.
    """
    p = params.load(params_file).gate
    sources = evidence.Sources.of(metrics, plots)
    found = evidence.collect(sources)
    found = found.without(staleness.outdated(found.files(), lock, params_file))
    rules = gating.judge(found, **p.model_dump(exclude={"max_drop"}))
    if against is not None:
        before = evidence.collect(sources, read=revisions.reader(against))
        rules += gating.judge_drops(found, before, p.max_drop, against)
    return rules, found.winner
