"""compare: the scores, outcomes and curves of the models in params.yaml -> leaderboard and winner."""

from pathlib import Path

import pandas as pd
import typer

from handlens import comparison, figures, metrics, params
from handlens.errors import guarded


def main(
    params_file: Path,
    evaluate_metrics: Path,
    evaluate_tables: Path,
    train_metrics: Path,
    train_curves: Path,
    summary: Path,
    table_file: Path,
    pictures: Path,
) -> None:
    """Compare the models that `models` lists, no others."""
    p = params.load(params_file)
    scores, outcomes, curves = {}, {}, []
    for name in p.models:
        trained = metrics.read(train_metrics / f"{name}.json", f"dvc repro train@{name}")
        judged = metrics.read(evaluate_metrics / f"{name}.json", f"dvc repro evaluate@{name}")
        scores[name] = {**judged, "train_seconds": trained["seconds"]}
        outcomes[name] = metrics.read_points(
            evaluate_tables / name / "outcomes.csv", f"dvc repro evaluate@{name}"
        )
        curves.append(metrics.read_points(train_curves / f"{name}.csv", f"dvc repro train@{name}"))
    table = comparison.leaderboard(
        scores,
        outcomes,
        winner_by=p.compare.winner_by,
        limits={str(cost): limit for cost, limit in p.compare.limits.items()},
        seed=p.seed,
    )
    metrics.write(comparison.summary(table, p.compare.winner_by), summary)
    metrics.write_points(table, table_file)
    figures.curves(pd.concat(curves, ignore_index=True), pictures / "curves.png")
    figures.leaderboard(table, pictures / "leaderboard.png")
    figures.trade_off(table, pictures / "trade_off.png")


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
