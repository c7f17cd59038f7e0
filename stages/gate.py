"""gate: metrics -> the verdict on the winner, with every rule. A failed rule does not stop the pipeline.

`handlens gate` judges the same rules and sets the exit code.
"""

from pathlib import Path

import typer

from handlens import evidence, gating, params
from handlens.errors import guarded


def main(
    params_file: Path,
    split: Path,
    compare: Path,
    evaluate: Path,
    tables: Path,
    export: Path,
    verdict: Path,
) -> None:
    """Judge the winner."""
    sources = evidence.Sources(split, compare, evaluate, tables, export)
    found, p = evidence.collect(sources), params.load(params_file)
    rules = gating.judge(found, **p.gate.model_dump(exclude={"max_drop"}))
    gating.write(rules, found.winner, verdict)


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
