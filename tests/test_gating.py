import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from stagescripts import stage
from typer.testing import CliRunner

from handlens import evidence, gating, staleness
from handlens.cli import app

ROOT = Path(__file__).parent.parent
PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")
WINNER = PARAMS["models"][0]
SCORES = f"metrics/evaluate/{WINNER}.json"
CLASSES = f"plots/evaluate/{WINNER}/classes.csv"
EXPORT = f"metrics/export/{WINNER}.json"
DVC = (sys.executable, "-m", "dvc")
GATE = {
    "floors": {"accuracy": 0.8, "accuracy_low": 0.7},
    "ceilings": {"latency_ms": 20},
    "class_recall": 0.5,
    "class_recall_of": {"可回收物 鼠标": 0.6},
    "export_ceilings": {"fp32_megabytes": 10},
    "max_drop": {"accuracy": 0.02},
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose gate passes, with a lock file that fits."""
    monkeypatch.chdir(tmp_path)
    set_params(gate=GATE)
    put("metrics/split.json", {"leakage": 0})
    put("metrics/compare.json", {"winner": WINNER, "accuracy": 0.85})
    put(SCORES, {"accuracy": 0.85, "accuracy_low": 0.75, "latency_ms": 12.5})
    put(EXPORT, {"passed": True, "fp32_megabytes": 9.0})
    put(CLASSES, "class,precision,recall\n可回收物 鼠标,0.9,0.7\nb,0.8,0.5\n")
    lock()
    return tmp_path


def put(path, content):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    Path(path).write_text(text, encoding="utf-8")


def change(path, **values):
    """Set keys of a JSON file, or remove those given as ..."""
    found = {**json.loads(Path(path).read_text()), **values}
    put(path, {key: value for key, value in found.items() if value is not ...})


def set_params(**sections):
    with open("params.yaml", "w") as file:  # noqa: PTH123
        YAML().dump({**PARAMS, **sections}, file)


def md5(path):
    return hashlib.md5(Path(path).read_bytes()).hexdigest()


def outs_of(path):
    """Record a file as DVC does; what is not a file is not recorded."""
    return [{"path": path, "hash": "md5", "md5": md5(path)}] if Path(path).is_file() else []


def lock(**extra):
    """Write a dvc.lock as DVC would after a run that made the present files."""
    names = {
        "split": "metrics/split.json",
        "compare": "metrics/compare.json",
        f"evaluate@{WINNER}": SCORES,
        f"export@{WINNER}": EXPORT,
    }
    stages = {name: {"cmd": "x", "outs": outs_of(path)} for name, path in names.items()}
    folder = Path(CLASSES).parent
    if Path(CLASSES).exists():
        listing = json.dumps([{"md5": md5(CLASSES), "relpath": "classes.csv"}]).encode()
        entry = {"path": str(folder), "hash": "md5", "md5": hashlib.md5(listing).hexdigest() + ".dir"}
        stages[f"evaluate@{WINNER}"]["outs"].append(entry)
    for name, values in extra.items():
        stages[name.replace("__", f"@{WINNER}")].update(values)
    with open("dvc.lock", "w") as file:  # noqa: PTH123
        YAML().dump({"schema": "2.0", "stages": stages}, file)


def gate(*options):
    result = CliRunner().invoke(app, ["gate", *options])
    return result.exit_code, result.output


def test_a_project_that_keeps_its_rules_passes(project):
    code, text = gate()
    assert (code, text.splitlines()[-1]) == (0, f"pass: {WINNER}")
    assert "recall of 可回收物 鼠标" in text


NAN, INFINITE = float("nan"), float("inf")
CASES = {
    # what is wrong: (change of the project before the lock is written, exit code, words of the answer)
    "accuracy below its floor": (lambda: both(accuracy=0.79), 1, "accuracy is 0.79, must be >= 0.8"),
    "accuracy at its floor": (lambda: both(accuracy=0.8), 0, "pass"),
    "interval's lower end below": (lambda: change(SCORES, accuracy_low=0.69), 1, "accuracy_low is 0.69"),
    "latency above its ceiling": (lambda: change(SCORES, latency_ms=20.1), 1, "latency_ms is 20.1"),
    "latency at its ceiling": (lambda: change(SCORES, latency_ms=20), 0, "pass"),
    "one class below every class's floor": (
        lambda: put(CLASSES, "class,recall\n可回收物 鼠标,0.7\nb,0.49\n"), 1,
        "recall of b is 0.49, must be >= 0.5"),
    "one class below its own floor": (
        lambda: put(CLASSES, "class,recall\n可回收物 鼠标,0.59\nb,0.9\n"), 1,
        "recall of 可回收物 鼠标 is 0.59, must be >= 0.6"),
    "leakage": (lambda: change("metrics/split.json", leakage=3), 1, "leakage is 3, must be == 0"),
    "export refused": (lambda: change(EXPORT, passed=False, reasons="fp32: agreement"), 1, "fp32: agreement"),
    "export too large": (lambda: change(EXPORT, fp32_megabytes=11), 1, "export fp32_megabytes is 11"),
    "a key is missing": (lambda: change(SCORES, latency_ms=...), 2, f"{SCORES} has no latency_ms"),
    "NaN": (lambda: change(SCORES, accuracy_low=NAN), 2, "says accuracy_low is nan"),
    "infinite": (lambda: change(SCORES, accuracy_low=INFINITE), 2, "says accuracy_low is inf"),
    "null": (lambda: change(SCORES, accuracy_low=None), 2, "None, which is no number"),
    "a number in quotes": (lambda: change(SCORES, accuracy_low="0.9"), 2, "'0.9', which is no number"),
    "true is not 1": (lambda: change(SCORES, accuracy_low=True), 2, "True, which is no number"),
    "false is not leakage 0": (lambda: change("metrics/split.json", leakage=False), 2, "no number"),
    "a score above 1": (lambda: both(accuracy=85.0), 2, "85 is not between 0 and 1"),
    "scores cut off": (lambda: put(SCORES, '{"accuracy": 0.8'), 2, f"{SCORES} cannot be read"),
    "scores empty": (lambda: put(SCORES, ""), 2, f"{SCORES} cannot be read"),
    "scores a list": (lambda: put(SCORES, "[0.9]"), 2, "is not a JSON object"),
    "scores missing": (lambda: Path(SCORES).unlink(), 2, f"{SCORES} is missing"),
    "scores not text": (lambda: Path(SCORES).write_bytes(b"\xff\xfe\x00"), 2, f"{SCORES} cannot be read"),
    "scores a folder": (lambda: (Path(SCORES).unlink(), Path(SCORES).mkdir()), 2, f"{SCORES} cannot be read"),
    "split missing": (lambda: Path("metrics/split.json").unlink(), 2, "metrics/split.json is missing"),
    "no leakage measured": (lambda: change("metrics/split.json", leakage=...), 2, "has no leakage"),
    "export missing": (lambda: Path(EXPORT).unlink(), 2, f"add {WINNER} to export.models"),
    "export without verdict": (lambda: change(EXPORT, passed=...), 2, "passed is None"),
    "export verdict in words": (lambda: change(EXPORT, passed="true"), 2, "passed is 'true'"),
    "no class table": (lambda: Path(CLASSES).unlink(), 2, f"{CLASSES} is missing"),
    "class table empty": (lambda: put(CLASSES, ""), 2, "0 rows"),
    "class table only a header": (lambda: put(CLASSES, "class,recall\n"), 2, "0 rows"),
    "class twice": (lambda: put(CLASSES, "class,recall\nb,0.9\nb,0.9\n"), 2, "2 rows for 1 classes"),
    "recall is no number": (
        lambda: put(CLASSES, "class,recall\n可回收物 鼠标,0.9\nb,high\n"), 2,
        "not a table of class and recall"),
    "recall is NaN": (
        lambda: put(CLASSES, "class,recall\n可回收物 鼠标,0.9\nb,nan\n"), 2, "recall of b cannot"),
    "class with a floor is gone": (
        lambda: put(CLASSES, "class,recall\nb,0.9\n"), 2, "has no class '可回收物 鼠标', only b"),
    "no winner": (lambda: put("metrics/compare.json", {"accuracy": 0.9}), 2, "names no winner"),
    "winner without scores": (
        lambda: put("metrics/compare.json", {"winner": "gone", "accuracy": 0.9}), 2, "gone.json is missing"),
    "compare missing": (lambda: Path("metrics/compare.json").unlink(), 2, "names no winner"),
    "compare of another run": (lambda: change(SCORES, accuracy=0.9), 2, "differ in accuracy"),
    "a failure and a gap": (lambda: (both(accuracy=0.1), Path(EXPORT).unlink()), 1, "accuracy is 0.1"),
}  # fmt: skip


def both(**values):
    change(SCORES, **values)
    change("metrics/compare.json", **values)


@pytest.mark.parametrize("case", CASES)
def test_verdict(project, case):
    damage, expected, words = CASES[case]
    damage()
    lock()
    code, text = gate()
    assert code == expected, text
    assert words in text


@pytest.mark.parametrize("rules", [{"class_recall": None, "class_recall_of": {}}, {"floors": {}}])
def test_rules_that_are_off_are_not_judged(project, rules):
    set_params(gate={**GATE, **rules})
    code, text = gate()
    assert code == 0
    assert ("recall of" in text) == ("floors" in rules)


def test_a_rule_on_an_unknown_metric_never_passes(project):
    set_params(gate={**GATE, "floors": {"acuracy": 0.1}})
    code, text = gate()
    assert (code, "has no acuracy" in text) == (2, True)


def test_wrong_params_cannot_be_judged(project):
    set_params(gate={**GATE, "floors": {"accuracy": 80}})
    code, text = gate()
    assert (code, "gate.floors.accuracy is 80" in text) == (2, True)


# --- outdated metrics ---

STALE = {
    "metrics edited by hand": (lambda: both(accuracy=0.99), f"{SCORES} is not what evaluate@{WINNER} wrote"),
    "class table edited": (
        lambda: put(CLASSES, "class,recall\n可回收物 鼠标,1\nb,1\n"),
        f"{CLASSES} is not what evaluate@{WINNER} wrote"),
    "no lock": (lambda: Path("dvc.lock").unlink(), "dvc.lock is missing"),
    "lock not YAML": (lambda: put("dvc.lock", "a: [b"), "dvc.lock is not valid YAML"),
    "lock empty": (lambda: put("dvc.lock", ""), "dvc.lock is empty"),
    "lock of another kind": (lambda: put("dvc.lock", "stages: [a, b]"), "is not a lock file of DVC"),
    "lock does not know the metrics": (
        lambda: put("dvc.lock", "schema: '2.0'\nstages: {}\n"), "is not an output that dvc.lock records"),
    "parameter changed since": (
        lambda: lock(evaluate__={"params": {"params.yaml": {"seed": PARAMS["seed"] + 1}}}),
        f"seed in params.yaml changed since evaluate@{WINNER} ran"),
    "parameter inside a section changed since": (
        lambda: lock(compare={"params": {"params.yaml": {"compare": {"winner_by": "x"}}}}),
        "compare in params.yaml changed since compare ran"),
    "script changed since": (
        lambda: (
            put("evaluate.py", "new"),
            lock(evaluate__={"deps": [{"path": "evaluate.py", "md5": "0" * 32}]}),
        ),
        f"evaluate.py changed since evaluate@{WINNER} ran"),
    "an earlier stage ran again": (
        lambda: lock(compare={"deps": [{"path": SCORES, "md5": "0" * 32}]}), "changed since compare ran"),
    "a stage before it is outdated": (
        lambda: lock(
            split={"params": {"params.yaml": {"split": {"val": 0.5}}}},
            compare={"deps": [{"path": "metrics/split.json", "md5": md5("metrics/split.json")}]},
        ),
        "split in params.yaml changed since split ran"),
    "photos changed since": (
        lambda: (
            put("data/raw.dvc", "outs: [{path: raw, md5: aaa.dir}]"),
            lock(split={"deps": [{"path": "data/raw", "md5": "bbb.dir", "nfiles": 9000}]}),
        ),
        "data/raw changed since split ran"),
}  # fmt: skip


@pytest.mark.parametrize("case", STALE)
def test_outdated_metrics_never_pass(project, case):
    damage, words = STALE[case]
    damage()
    code, text = gate()
    assert code == 2, text
    assert words in text


@pytest.mark.parametrize(
    "stages",
    [
        {"evaluate__": {"params": {"params.yaml": {"seed": PARAMS["seed"], "split": PARAMS["split"]}}}},
        {"evaluate__": {"params": {"params.yaml": {"split.val": PARAMS["split"]["val"]}}}},
        # photos and weights that were not pulled, and params.yaml as a whole, say nothing
        {"split": {"deps": [{"path": "data/raw", "md5": "b.dir", "nfiles": 9000}]}},
        {"split": {"deps": [{"path": "params.yaml", "md5": "0" * 32}]}},
    ],
)
def test_unchanged_inputs_are_not_outdated(project, stages):
    lock(**stages)
    assert gate()[0] == 0


def test_stages_of_removed_models_do_not_matter(project):
    data = YAML(typ="safe").load(Path("dvc.lock"))
    outs = [{"path": "metrics/evaluate/removed.json", "md5": "0" * 32}]
    data["stages"]["evaluate@removed"] = {"outs": outs, "params": {"params.yaml": {"seed": -1}}}
    data["stages"]["compare"]["deps"] = [
        {"path": "metrics/evaluate", "md5": staleness.hash_of(Path("metrics/evaluate"))}
    ]
    with open("dvc.lock", "w") as file:  # noqa: PTH123
        YAML().dump(data, file)
    assert gate()[0] == 0


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_lock_file_of_dvc_itself_is_understood(project):
    """DVC writes the lock; its hashes of files and folders must be those that we compute."""
    run("git", "init", "-q")
    run(*DVC, "init", "-q")
    for name in ("metrics", "plots"):
        Path(name).rename(f"{name}_made")
    put(f"{CLASSES}".replace("plots/", "plots_made/").replace("classes", "子 folder/甲"), "x\n")
    stages = {
        "split": {
            "cmd": "mkdir -p metrics && cp metrics_made/split.json metrics/",
            "outs": ["metrics/split.json"],
        },
        "evaluate": {
            "matrix": {"model": [WINNER]},
            "cmd": "mkdir -p metrics plots && cp -r metrics_made/evaluate metrics/ && "
            "cp -r plots_made/evaluate plots/",
            "params": ["seed", "gate.floors"],
            "deps": ["plots_made"],
            "outs": [SCORES, {str(Path(CLASSES).parent): {"cache": False}}],
        },
        "export": {
            "matrix": {"model": [WINNER]},
            "cmd": "mkdir -p metrics/export && cp metrics_made/export/* metrics/export/",
            "outs": [EXPORT],
        },
        "compare": {
            "cmd": "cp metrics_made/compare.json metrics/",
            "deps": ["metrics/evaluate", "metrics/split.json"],
            "outs": ["metrics/compare.json"],
        },
    }
    with open("dvc.yaml", "w") as file:  # noqa: PTH123
        YAML().dump({"stages": stages}, file)
    Path("dvc.lock").unlink()
    run(*DVC, "repro", "-q")
    code, text = gate()
    assert code == 0, text
    put(f"plots_made/evaluate/{WINNER}/classes.csv", "class,recall\nb,1\n")
    code, text = gate()
    assert (code, f"plots_made changed since evaluate@{WINNER} ran" in text) == (2, True)


# --- against a Git revision ---


@pytest.fixture
def history(project):
    """The project in Git, with the passing state as its only commit."""
    run("git", "init", "-q", "-b", "main")
    run("git", "add", "-A")
    run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    return project


@pytest.mark.parametrize(("accuracy", "expected"), [(0.85, 0), (0.83, 0), (0.829, 1), (0.95, 0)])
def test_greatest_drop_against_a_revision(history, accuracy, expected):
    both(accuracy=accuracy)
    lock()
    code, text = gate("--against", "HEAD")
    assert code == expected, text
    assert f"accuracy against {WINNER} at HEAD" in text


def test_the_winner_of_then_is_what_is_compared(history):
    """Another model won at that revision: what ships now is compared with what shipped then."""
    put("metrics/compare.json", {"winner": "old_winner", "accuracy": 0.95})
    put("metrics/evaluate/old_winner.json", {"accuracy": 0.95})
    run("git", "add", "-A")
    run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "second")
    put("metrics/compare.json", {"winner": WINNER, "accuracy": 0.85})
    code, text = gate("--against", "HEAD")
    assert code == 1
    assert "accuracy against old_winner at HEAD is 0.85, must be >= 0.93" in text
    assert gate("--against", "HEAD~1")[0] == 0


def test_a_revision_without_metrics_cannot_be_judged(history):
    for revision in ("nowhere", "--help"):
        code, text = gate("--against", revision)
        assert (code, "names no winner" in text) == (2, True), text
    run("git", "rm", "-q", "--cached", SCORES)
    run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "without scores")
    code, text = gate("--against", "HEAD")
    assert (code, "at HEAD" in text) == (2, True)


# --- forms ---


def test_json_and_markdown(project):
    put(CLASSES, "class,recall\n可回收物 鼠标,0.1\nb,nan\n")
    lock()
    code, text = gate("--json")
    report = json.loads(text)
    assert (code, report["verdict"], report["failed"], report["not_judged"]) == (1, "fail", 1, 1)
    missed = {rule["name"]: rule for rule in report["rules"] if rule["verdict"] != "pass"}
    assert missed["recall of 可回收物 鼠标"]["value"] == 0.1
    assert missed["recall of b"]["value"] is None
    code, text = gate("--md")
    assert code == 1
    assert "| recall of 可回收物 鼠标 | 0.1 | >= 0.6 | ❌ fail |" in text
    assert "- recall of b cannot be judged" in text


def test_the_stage_writes_the_verdict_and_succeeds(project):
    both(accuracy=0.1)
    paths = (
        "metrics/split.json",
        "metrics/compare.json",
        "metrics/evaluate",
        "plots/evaluate",
        "metrics/export",
    )
    stage("gate").main(Path("params.yaml"), *(Path(path) for path in paths), Path("metrics/gate.json"))
    report = json.loads(Path("metrics/gate.json").read_text())
    assert (report["verdict"], report["winner"], report["failed"]) == ("fail", WINNER, 1)


def test_no_rules_are_no_pass():
    assert gating.verdict_of([]) == "cannot judge"


def test_numbers_are_taken_strictly():
    assert evidence.number({"a": 1}, "a") == (1.0, "")
    for value in (True, "1", None, [1], {}, float("nan"), float("-inf")):
        assert evidence.number({"a": value}, "a")[1]
