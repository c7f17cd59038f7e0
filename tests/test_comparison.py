import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import binomtest
from stagescripts import stage
from typer.testing import CliRunner

from handlens import boards, comparison, metrics, params
from handlens.cli import app
from handlens.errors import UserError

ROOT = Path(__file__).parent.parent


def scores_of(accuracy, val_accuracy, *, params=1_000_000, latency_ms=10.0, weights_mb=4.0):
    values = {"params": params, "macs": 20_000_000, "weights_mb": weights_mb, "latency_ms": latency_ms}
    for name in ("accuracy", "macro_f1"):
        values |= {name: accuracy, f"{name}_low": accuracy - 0.05, f"{name}_high": accuracy + 0.05}
    return {
        **values, "val_accuracy": val_accuracy, "val_macro_f1": 1 - val_accuracy,
        "test_photos": 100, "train_seconds": 60.0,
    }  # fmt: skip


def outcomes_of(right, photos=100, group_size=1, first=0):
    """Make the outcomes of a model that is right on `right` photos, from number `first` on."""
    number = np.arange(photos)
    hit = (number >= first) & (number < first + right)
    return pd.DataFrame(
        {
            "photo_id": [f"{i:016x}" for i in number],
            "group": number // group_size,
            "truth": 1,
            "prediction": hit.astype(int),
        }
    )


def board(limits=None, winner_by="accuracy"):
    """Compare three models; `big` is best on validation, `lucky` on the test photos."""
    scores = {
        "small": scores_of(0.7, 0.7, params=100_000, latency_ms=2.0, weights_mb=0.4),
        "big": scores_of(0.9, 0.95, params=9_000_000, latency_ms=40.0, weights_mb=36.0),
        "lucky": scores_of(0.92, 0.8),
    }
    outcomes = {"small": outcomes_of(70), "big": outcomes_of(90), "lucky": outcomes_of(92)}
    return comparison.leaderboard(scores, outcomes, winner_by=winner_by, limits=limits or {}, seed=1)


def test_the_winner_is_chosen_on_validation_not_on_test():
    table = board()
    assert list(table["model"]) == ["big", "lucky", "small"]
    assert list(table["winner"]) == [True, False, False]
    assert list(board(winner_by="macro_f1")["model"]) == ["small", "lucky", "big"]
    summary = comparison.summary(table, "accuracy")
    assert (summary["winner"], summary["accuracy"], summary["models"]) == ("big", 0.9, 3)


def test_equal_scores_go_to_the_smaller_model():
    scores = {"b": scores_of(0.9, 0.9), "a": scores_of(0.9, 0.9), "tiny": scores_of(0.9, 0.9, params=5)}
    outcomes = {name: outcomes_of(90) for name in scores}
    table = comparison.leaderboard(scores, outcomes, winner_by="accuracy", limits={}, seed=0)
    assert list(table["model"]) == ["tiny", "a", "b"]


def test_the_winner_keeps_the_limits():
    table = board({"latency_ms": 20.0, "params": 2_000_000})
    assert table["model"][table["winner"]].item() == "lucky"
    with pytest.raises(UserError, match=r"no model keeps compare\.limits.*latency_ms 2"):
        board({"latency_ms": 1.0})


def test_verdicts_against_the_winner():
    verdicts = board().set_index("model")
    assert verdicts["verdict"].to_dict() == {
        "big": "winner", "lucky": "no difference shown", "small": "worse"
    }  # fmt: skip
    assert verdicts["difference"]["small"] == pytest.approx(-0.2)
    assert verdicts["p_value"]["small"] < 0.001
    assert np.isnan(verdicts["p_value"]["big"])


@pytest.mark.parametrize(("better", "worse"), [(0, 0), (3, 3), (9, 2), (2, 9), (30, 12), (1, 0)])
def test_without_groups_the_test_is_mcnemars_exact_test(better, worse):
    differences = np.array([1] * better + [-1] * worse + [0] * 50)
    exact = binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert comparison.sign_flip_test(differences, seed=0) == pytest.approx(exact, abs=0.015)


def test_near_duplicates_do_not_make_a_difference_significant():
    scores = {"a": scores_of(0.9, 0.9), "b": scores_of(0.8, 0.8)}
    verdicts = []
    for group_size in (1, 10):  # ten photos fewer, one by one or all of one group
        outcomes = {
            "a": outcomes_of(90, group_size=group_size),
            "b": outcomes_of(80, group_size=group_size),
        }
        table = comparison.leaderboard(scores, outcomes, winner_by="accuracy", limits={}, seed=0)
        verdicts.append(table["verdict"][1])
    assert verdicts == ["worse", "no difference shown"]


def test_holm_correction_of_his_kind_of_example():
    assert comparison.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert comparison.holm([0.6, 0.9]) == [1.0, 1.0]
    assert comparison.holm([]) == []


def test_pareto_front_is_what_no_model_beats():
    random = np.random.default_rng(0)
    score, cost = random.integers(0, 6, (2, 40)) / 5
    front = comparison.pareto(pd.Series(score), pd.Series(cost))
    for i in range(40):
        beaten = any(
            score[j] >= score[i] and cost[j] <= cost[i] and (score[j], cost[j]) != (score[i], cost[i])
            for j in range(40)
        )
        assert front[i] == (not beaten)


def test_models_tested_on_different_photos_are_not_compared():
    scores = {"a": scores_of(0.9, 0.9), "b": scores_of(0.8, 0.8)}
    outcomes = {"a": outcomes_of(90), "b": outcomes_of(80, photos=99)}
    with pytest.raises(UserError, match=r"b was tested on other photos.*99 against 100"):
        comparison.leaderboard(scores, outcomes, winner_by="accuracy", limits={}, seed=0)


def test_a_single_model_wins():
    table = comparison.leaderboard(
        {"a": scores_of(0.5, 0.5)}, {"a": outcomes_of(50)}, winner_by="accuracy", limits={}, seed=0
    )
    assert list(table["winner"]) == [True]


# --- the stage ---

MODELS = params.load(ROOT / "params.yaml").models
BEST = MODELS[-1]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Metrics and tables of the models of params.yaml, the last one best, and of one taken off the list."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    for place, name in enumerate((*MODELS, "removed")):
        scores = scores_of(0.7 + place / 50, 0.7 + place / 50)
        del scores["train_seconds"]
        metrics.write(scores, Path(f"metrics/evaluate/{name}.json"))
        metrics.write({"seconds": 60.0}, Path(f"metrics/train/{name}.json"))
        points = {
            "outcomes": outcomes_of(70 + 2 * place),
            "confusion": pd.DataFrame({"actual": ["甲"], "predicted": ["甲"], "photos": [1], "share": [1]}),
            "reliability": pd.DataFrame(
                {"kind": ["as trained"], "confidence": [0.8], "accuracy": [0.7], "photos": [9]}
            ),
            "precision_recall": pd.DataFrame(
                {"curve": ["macro", "甲"], "kind": ["macro", "class"], "recall": 0.5, "precision": 0.5}
            ),
            "roc": pd.DataFrame(
                {
                    "curve": ["macro", "甲"],
                    "kind": ["macro", "class"],
                    "false_positive_rate": 0.5,
                    "recall": 1,
                }
            ),
        }
        for kind, table in points.items():
            metrics.write_points(table.assign(model=name), Path(f"plots/evaluate/{name}/{kind}.csv"))
        curve = pd.DataFrame(
            {"model": name, "split": ["train", "val"], "epoch": 1, "loss": 1.0, "accuracy": 0.5}
        )
        metrics.write_points(curve, Path(f"plots/train/{name}.csv"))
    return tmp_path


def run_stage():
    paths = (
        "params.yaml", "metrics/evaluate", "plots/evaluate", "metrics/train", "plots/train",
        "metrics/compare.json", "plots/compare.csv", "plots/compare", "figures/compare",
    )  # fmt: skip
    stage("compare").main(*(Path(path) for path in paths))


def test_only_listed_models_are_compared(project):
    run_stage()
    summary = json.loads(Path("metrics/compare.json").read_text())
    assert summary["winner"] == BEST  # "removed" would have won
    assert summary["models"] == len(MODELS)
    table = metrics.read_points(Path("plots/compare.csv"), "")
    assert set(table["model"]) == set(MODELS)
    for kind in ("curves", "reliability", "precision_recall", "roc"):
        assert set(metrics.read_points(Path(f"plots/compare/{kind}.csv"), "")["model"]) == set(MODELS)
    confusion = metrics.read_points(Path("plots/compare/confusion.csv"), "")
    assert list(confusion["model"]) == [BEST]
    pictures = {path.name for path in Path("figures/compare").iterdir()}
    assert pictures == {"curves.png", "leaderboard.png", "trade_off.png"}


@pytest.mark.parametrize(
    "missing",
    [
        "metrics/evaluate/{}.json",
        "metrics/train/{}.json",
        "plots/evaluate/{}/outcomes.csv",
        "plots/train/{}.csv",
    ],
)
def test_a_missing_file_names_the_command_that_makes_it(project, missing):
    Path(missing.format(BEST)).unlink()
    with pytest.raises(UserError, match=f"{missing.format(BEST)} is missing. Run 'dvc repro' to make it"):
        run_stage()


def test_a_broken_metrics_file_is_named(project):
    Path(f"metrics/evaluate/{BEST}.json").write_text('{"accuracy": ')
    with pytest.raises(UserError, match=f"metrics/evaluate/{BEST}.json is not JSON"):
        run_stage()


# --- the command ---


def test_the_leaderboard_in_three_forms(project):
    run_stage()
    runner = CliRunner()
    shown = runner.invoke(app, ["compare"]).stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["model", *reversed(MODELS)]
    accuracy = 0.7 + (len(MODELS) - 1) / 50
    assert f"{accuracy:.3f} [{accuracy - 0.05:.3f}, {accuracy + 0.05:.3f}]" in shown[1]
    markdown = runner.invoke(app, ["compare", "--md"]).stdout.splitlines()
    assert markdown[2].startswith(f"| **{BEST}** |")
    assert {line.count("|") for line in markdown} == {len(boards.HEADINGS) + 1}
    rows = json.loads(runner.invoke(app, ["compare", "--json"]).stdout)
    assert rows[0]["model"] == BEST
    assert rows[0]["winner"] is True
    assert rows[0]["p_value"] is None
    assert rows[0]["accuracy"] == pytest.approx(accuracy)


def test_a_leaderboard_of_twenty_models_fits_a_laptop_terminal():
    names = [f"mobilenet_v2_lr_{place}" for place in range(20)]
    table = comparison.leaderboard(
        {name: scores_of(0.9, place / 20) for place, name in enumerate(names)},
        {name: outcomes_of(90) for name in names},
        winner_by="accuracy", limits={}, seed=0,
    )  # fmt: skip
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(boards.leaderboard(table))
    lines = console.export_text().splitlines()
    assert len(lines) == 21
    assert "…" not in "".join(lines)
