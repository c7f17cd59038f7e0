import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import textures
import torch
from sklearn import metrics as sk
from stagescripts import stage
from torch import nn

from handlens import bootstrap, checkpoint, evaluation, manifest, scoring, zoo
from handlens.errors import UserError
from handlens.pixels import PixelStore
from handlens.preprocessing import Classifier

ROOT = Path(__file__).parent.parent
AWKWARD = ("path", "path (class)", "truth", "可回收物 鼠标", "label", "1")


def predicted(photos, classes, *, seed=0, skill=1.5, group_size=1):
    """Draw class indices, probabilities and groups: every class occurs, groups share a class."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(photos), group_size)[:photos]
    of_group = np.concatenate([np.arange(classes), random.integers(0, classes, photos)])
    truth = of_group[groups]
    logits = random.normal(size=(photos, classes)) * 1.2
    logits[np.arange(photos), truth] += skill
    found = np.exp(logits)
    return truth, found / found.sum(axis=1, keepdims=True), groups


def table_of(classes, *, photos=120, seed=0):
    """Make a table as `evaluation.predict` does, half val and half test."""
    truth, found, group = predicted(photos, len(classes), seed=seed)
    names = np.array(classes, dtype=object)
    rows = pd.DataFrame(
        {
            "photo_id": [f"{i:016x}" for i in range(photos)],
            "path": [f"{names[t]}/{i}.jpg" for i, t in enumerate(truth)],
            "split": ["val", "test"] * (photos // 2),
            "group": group,
            "truth": names[truth],
            "prediction": names[found.argmax(axis=1)],
        }
    )
    columns = evaluation.probability_columns(classes)
    return pd.concat([rows, pd.DataFrame(found.astype(np.float32), columns=columns)], axis=1)


# --- bootstrap ---


def test_resampled_scores_are_those_of_scikit_learn():
    truth, found, group = predicted(60, 5, group_size=3)
    guess = found.argmax(axis=1)
    guess[guess == 4] = 0  # a class that is never predicted
    counts = bootstrap.count_groups(truth, guess, group, 5)
    weights = bootstrap.draw(np.random.default_rng(1), len(counts.actual), 50)
    ours = bootstrap.scores(weights @ counts.right, weights @ counts.predicted, weights @ counts.actual)
    absent = 0
    for row, weight in enumerate(weights):
        photos = np.repeat(np.arange(60), weight[group].astype(int))
        present = np.unique(truth[photos])
        absent += 5 - len(present)
        kwargs = {"labels": present, "zero_division": 0}
        theirs = sk.precision_recall_fscore_support(truth[photos], guess[photos], average="macro", **kwargs)
        each = sk.precision_recall_fscore_support(truth[photos], guess[photos], **kwargs)
        assert ours["accuracy"][row] == pytest.approx(sk.accuracy_score(truth[photos], guess[photos]))
        for place, name in enumerate(("precision", "recall", "f1")):
            assert ours[f"macro_{name}"][row] == pytest.approx(theirs[place])
            assert ours[name][row, present] == pytest.approx(each[place])
            assert np.isnan(ours[name][row]).sum() == 5 - len(present)
    assert absent > 0  # the rare case did occur


def test_a_group_is_drawn_whole():
    truth = np.array([0, 0, 1, 1])
    counts = bootstrap.count_groups(truth, truth, np.array([7, 7, 3, 3]), 2)
    weights = bootstrap.draw(np.random.default_rng(0), len(counts.actual), 200)
    assert set((weights @ counts.actual).ravel()) == {0.0, 2.0, 4.0}
    assert (weights.sum(axis=1) == 2).all()


@pytest.mark.parametrize("group_size", [1, 4])
def test_intervals_cover_the_truth_in_95_of_100_test_sets(group_size):
    photos, repeats = 120 * group_size, 400
    truth, found, _ = predicted(400_000, 3, seed=9)
    whole = bootstrap.count_groups(truth, found.argmax(axis=1), np.zeros(len(truth), int), 3)
    real = bootstrap.observed(whole)
    random = np.random.default_rng(4)
    covered = dict.fromkeys(("accuracy", "macro_recall", "macro_f1"), 0)
    for seed in range(repeats):
        # near-duplicates: the same photo, and what the network says of it, several times
        picked = np.repeat(random.integers(0, len(truth), photos // group_size), group_size)
        groups = np.repeat(np.arange(photos // group_size), group_size)
        counts = bootstrap.count_groups(truth[picked], found[picked].argmax(axis=1), groups, 3)
        ends = bootstrap.intervals(counts, resamples=200, seed=seed)
        for name in covered:
            covered[name] += ends[name][0] <= real[name] <= ends[name][1]
    for name, count in covered.items():
        assert count / repeats == pytest.approx(0.95, abs=0.02), name


def test_ignoring_groups_would_make_intervals_too_narrow():
    truth, found, group = predicted(400, 3, group_size=4)
    truth, guess = truth[group * 4], found[group * 4].argmax(axis=1)
    widths = []
    for groups in (group, np.arange(400)):
        counts = bootstrap.count_groups(truth, guess, groups, 3)
        low, high = bootstrap.intervals(counts, resamples=500, seed=0)["accuracy"]
        widths.append(high - low)
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.2)


def test_intervals_are_scipys_bca_when_groups_are_many():
    """With the same resamples; the widening for few groups is switched off by saying there are many."""
    hit = np.random.default_rng(3).random(60) < 0.9
    theirs = scipy.stats.bootstrap((hit.astype(float),), np.mean, method="BCa", rng=1, n_resamples=2000)
    without = (hit.sum() - hit) / 59
    ours = bootstrap.interval(theirs.bootstrap_distribution, hit.mean(), without, 10**9)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.004)
    plain = np.quantile(theirs.bootstrap_distribution, [0.025, 0.975])
    assert abs(ours[0] - plain[0]) > 0.01  # this sample is skewed enough to tell


def test_no_mistakes_still_leave_doubt():
    truth = np.arange(50) % 2
    counts = bootstrap.count_groups(truth, truth, np.arange(50), 2)
    low, high = bootstrap.intervals(counts, resamples=200, seed=0)["accuracy"]
    assert high == 1
    assert low == pytest.approx(0.025 ** (1 / 50))


def test_one_group_gives_no_error():
    counts = bootstrap.count_groups(np.array([0, 1]), np.array([0, 0]), np.array([5, 5]), 2)
    assert bootstrap.intervals(counts, resamples=100, seed=0)["accuracy"] == (0.5, 0.5)


# --- scores ---


@pytest.mark.parametrize("classes", [2, 7])
def test_scores_are_those_of_scikit_learn(classes):
    truth, found, group = predicted(300, classes)
    guess = found.argmax(axis=1)
    main, table = scoring.with_intervals(truth, guess, group, classes=classes, resamples=200, seed=1)
    report = sk.classification_report(truth, guess, output_dict=True, zero_division=0)
    assert main["accuracy"] == report["accuracy"]
    assert main["macro_f1"] == report["macro avg"]["f1-score"]
    assert main["macro_precision"] == report["macro avg"]["precision"]
    assert main["macro_recall"] == report["macro avg"]["recall"]
    for name in ("accuracy", "macro_f1", "macro_precision", "macro_recall"):
        assert main[f"{name}_low"] < main[name] < main[f"{name}_high"]
    for place in range(classes):
        row = table.iloc[place]
        assert row["recall"] == report[str(place)]["recall"]
        assert row["precision"] == report[str(place)]["precision"]
        assert row["f1"] == report[str(place)]["f1-score"]
        assert row["support"] == report[str(place)]["support"]
    more = scoring.further_scores(truth, found)
    assert more["weighted_f1"] == report["weighted avg"]["f1-score"]
    assert more["log_loss"] == pytest.approx(-np.log(found[np.arange(300), truth]).mean())
    assert more["cohen_kappa"] == sk.cohen_kappa_score(truth, guess)
    assert ("top3_accuracy" in more) == (classes > 3)
    one_against_rest = [sk.roc_auc_score(truth == c, found[:, c]) for c in range(classes)]
    assert more["roc_auc"] == pytest.approx(np.mean(one_against_rest))


def test_calibration_error_is_the_definition():
    truth, found, _ = predicted(500, 4)
    confidence, right = found.max(axis=1), found.argmax(axis=1) == truth
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert scoring.calibration_error(truth, found) == pytest.approx(expected, abs=1e-9)
    assert scoring.reliability(truth, found)["photos"].sum() == 500


def test_temperature_undoes_overconfidence():
    random = np.random.default_rng(0)
    honest = random.dirichlet([0.6] * 4, 20_000)
    truth = (random.random((20_000, 1)) > honest.cumsum(axis=1)).sum(axis=1)
    boastful = scoring.soften(honest, 1 / 2.5)
    temperature = scoring.fit_temperature(truth, boastful)
    assert temperature == pytest.approx(2.5, rel=0.08)
    calibrated = scoring.soften(boastful, temperature)
    assert scoring.calibration_error(truth, calibrated) < 0.02 < scoring.calibration_error(truth, boastful)
    assert (calibrated.argmax(axis=1) == boastful.argmax(axis=1)).all()


def test_precision_recall_curve_holds_the_best_precision_at_each_recall():
    truth, found, _ = predicted(80, 3)
    curves = scoring.precision_recall(truth, found, ["a", "b", "c"])
    of_b = curves[curves["curve"] == "b"]
    for recall, precision in zip(of_b["recall"], of_b["precision"], strict=True):
        best = max(
            ((found[:, 1] >= t) & (truth == 1)).sum() / (found[:, 1] >= t).sum()
            for t in found[:, 1]
            if ((found[:, 1] >= t) & (truth == 1)).sum() / (truth == 1).sum() >= recall
        )
        assert precision == pytest.approx(best, abs=1e-5)
    assert set(curves["curve"]) == {"macro", "micro", "a", "b", "c"}


def test_roc_curve_has_the_area_of_scikit_learn():
    truth, found, _ = predicted(2000, 3)
    curves = scoring.roc(truth, found, ["a", "b", "c"])
    macro = curves[curves["curve"] == "macro"]
    area = np.trapezoid(macro["recall"], macro["false_positive_rate"])
    assert area == pytest.approx(scoring.further_scores(truth, found)["roc_auc"], abs=0.01)


def test_confused_pairs_come_largest_first_and_without_zeros():
    matrix = np.array([[5, 2, 0], [7, 1, 2], [0, 0, 9]])
    pairs = scoring.confused_pairs(matrix, ["甲", "b", "c"])
    assert pairs.to_numpy().tolist() == [["b", "甲", 7, 0.7], ["甲", "b", 2, 0.2857], ["b", "c", 2, 0.2]]


# --- predictions ---


@pytest.fixture
def photos(tmp_path):
    """Textures of 40 train, 24 val and 36 test photos, all with pixels."""
    table = textures.split_table(42, 24, 36)
    (tmp_path / "pixels").mkdir()
    np.save(tmp_path / "pixels" / "00000.npy", textures.squares(np.arange(102) % 3, 32))
    return table, PixelStore(tmp_path / "pixels")


@pytest.fixture
def classifier(photos):
    torch.manual_seed(0)
    network = zoo.build("tiny", 3, weights=None).eval()
    return Classifier(network, textures.contract_of(photos[0]))


def test_batches_predict_what_single_photos_do(photos, classifier):
    rows, store = photos
    together = evaluation.predict(classifier, store, rows, textures.CLASSES, batch_size=7)
    alone = evaluation.predict(classifier, store, rows, textures.CLASSES, batch_size=1)
    assert np.allclose(together[list(textures.CLASSES)], alone[list(textures.CLASSES)], atol=1e-6)
    assert list(together["split"].value_counts()) == [36, 24]
    assert list(together.columns) == [*evaluation.COLUMNS, *textures.CLASSES]
    wanted = rows[rows["split"] != "train"]
    assert list(together["photo_id"]) == list(wanted["photo_id"])
    assert list(together["truth"]) == list(wanted["label"])
    best = together[list(textures.CLASSES)].to_numpy().argmax(axis=1)
    assert list(together["prediction"]) == [textures.CLASSES[i] for i in best]


def test_probabilities_belong_to_the_photo_of_their_row(photos, classifier):
    rows, store = photos
    shuffled = rows.sample(frac=1, random_state=3)
    a = evaluation.predict(classifier, store, rows, textures.CLASSES).set_index("photo_id")
    b = evaluation.predict(classifier, store, shuffled, textures.CLASSES).set_index("photo_id")
    pd.testing.assert_frame_equal(a, b.loc[a.index])


def test_a_network_that_diverged_is_refused(photos, classifier):
    rows, store = photos
    nn.init.constant_(classifier.network.fc.bias, float("nan"))
    with pytest.raises(UserError, match=r"across 横/42\.jpg.*lr"):
        evaluation.predict(classifier, store, rows, textures.CLASSES)


def test_class_names_never_collide_with_other_columns():
    columns = evaluation.probability_columns(AWKWARD)
    assert len(set(columns) | set(evaluation.COLUMNS)) == len(AWKWARD) + len(evaluation.COLUMNS)
    assert columns[3:] == ["可回收物 鼠标", "label", "1"]


def test_a_saved_table_gives_the_same_judgement(tmp_path):
    table = table_of(AWKWARD)
    manifest.write(table, tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    again = manifest.read(tmp_path / "p.csv")
    before = evaluation.judge(table, AWKWARD, "m", resamples=100, seed=0)
    after = evaluation.judge(again, AWKWARD, "m", resamples=100, seed=0)
    assert before.metrics == after.metrics
    test = again[again["split"] == "test"]
    assert after.metrics["accuracy"] == sk.accuracy_score(test["truth"], test["prediction"])
    f1 = sk.f1_score(test["truth"], test["prediction"], average="macro")
    assert after.metrics["macro_f1"] == pytest.approx(f1)
    val = again[again["split"] == "val"]
    assert after.metrics["val_accuracy"] == sk.accuracy_score(val["truth"], val["prediction"])
    for kind, one in before.tables.items():
        numbers = after.tables[kind]
        pd.testing.assert_frame_equal(one, numbers, check_dtype=False, rtol=1e-5)


def test_confusion_keeps_the_class_order():
    judged = evaluation.judge(table_of(("b", "a", "c")), ("b", "a", "c"), "m", resamples=100, seed=0)
    confusion = judged.tables["confusion"]
    assert list(dict.fromkeys(confusion["actual"])) == ["b", "a", "c"]
    assert list(confusion["predicted"][:3]) == ["b", "a", "c"]
    assert confusion["photos"].sum() == judged.metrics["test_photos"]
    assert np.trace(judged.matrix) / judged.matrix.sum() == judged.metrics["accuracy"]


def test_a_class_without_test_photos_is_refused():
    table = table_of(("a", "b"))
    table.loc[(table["split"] == "test") & (table["truth"] == "b"), "truth"] = "a"
    with pytest.raises(UserError, match="no test photo of class 'b'"):
        evaluation.judge(table, ("a", "b"), "m", resamples=100, seed=0)


def test_cost_counts_the_network(photos, classifier, tmp_path):
    (tmp_path / "w").write_bytes(b"x" * 12345)
    threads = torch.get_num_threads()
    cost = evaluation.cost(classifier.network, textures.contract_of(photos[0]), tmp_path / "w")
    assert cost["params"] == sum(p.numel() for p in classifier.network.parameters())
    # three 3x3 convolutions with stride 2 on 32 px, one linear layer
    assert cost["macs"] == 27 * 16 * 256 + 144 * 32 * 64 + 288 * 64 * 16 + 64 * 3
    assert cost["weights_mb"] == 0.012
    assert cost["latency_ms"] > 0
    assert torch.get_num_threads() == threads


# --- the stage ---


def test_the_stage_writes_everything_and_always_the_same(photos, classifier, tmp_path):
    rows, store = photos
    contract = textures.contract_of(rows)
    manifest.write(rows, tmp_path / "split.csv")
    contract.save(tmp_path / "contract.json")
    card = checkpoint.Card(
        model="m", arch="tiny", options={}, contract=contract, recipe={}, seed=0, parameters=1, epochs=2,
        best_epoch=2, val_accuracy=0.5, val_macro_f1=0.5, val_loss=1.0, versions={}, commit=None, hardware="",
    )  # fmt: skip
    checkpoint.save(tmp_path / "m", classifier.network, card)
    written = []
    for run in ("a", "b"):
        out = tmp_path / run
        stage("evaluate").main(
            ROOT / "params.yaml", tmp_path / "m", tmp_path / "split.csv", tmp_path / "contract.json",
            store.folder, out / "m.csv", out / "errors.csv", out / "inspected", out / "m.json",
            out / "tables", out / "pictures",
        )  # fmt: skip
        scores = json.loads((out / "m.json").read_text())
        assert scores.pop("latency_ms") > 0
        files = {
            p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*.*") if p.suffix != ".json"
        }
        written.append((scores, files))
    assert written[0] == written[1]
    assert scores["best_epoch"] == 2
    assert set(files) == {
        "m.csv", "errors.csv", "inspected/photos.csv", "inspected/heat.npy",
        *(f"tables/{name}.csv" for name in (
            "classes", "confusion", "outcomes", "pairs", "precision_recall", "reliability", "robustness",
            "roc", "scores",
        )),
        *(f"pictures/{name}.png" for name in (
            "confusion", "label_errors", "least_certain", "mistakes", "reliability", "robustness",
        )),
    }  # fmt: skip
    table = pd.read_csv(tmp_path / "a" / "m.csv", encoding="utf-8-sig")
    assert len(table) == 60
