"""compare: scores, plot tables and curves of the models in params.yaml -> leaderboard, winner, pictures."""

from pathlib import Path

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
    point_folder: Path,
    pictures: Path,
) -> None:
    """Compare the models that `models` and `distill` list, no others."""
    p = params.load(params_file)
    scores, tables = {}, {}
    for name in (*p.models, *p.distill):
        trained = metrics.read(train_metrics / f"{name}.json", "dvc repro")
        judged = metrics.read(evaluate_metrics / f"{name}.json", "dvc repro")
        scores[name] = {**judged, "train_seconds": trained["seconds"]}
        tables[name] = {
            kind: metrics.read_points(evaluate_tables / name / f"{kind}.csv", "dvc repro")
            for kind in comparison.TABLES
        }
        tables[name]["curves"] = metrics.read_points(train_curves / f"{name}.csv", "dvc repro")
    table = comparison.leaderboard(
        scores,
        {name: found["outcomes"] for name, found in tables.items()},
        winner_by=p.compare.winner_by,
        limits={str(cost): limit for cost, limit in p.compare.limits.items()},
        seed=p.seed,
    )
    points = comparison.points(tables, table)
    metrics.write(comparison.summary(table, p.compare.winner_by), summary)
    metrics.write_points(table, table_file)
    for kind, rows in points.items():
        metrics.write_points(rows, point_folder / f"{kind}.csv")
    figures.curves(points["curves"], pictures / "curves.png")
    figures.leaderboard(table, pictures / "leaderboard.png")
    figures.trade_off(table, pictures / "trade_off.png")


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
