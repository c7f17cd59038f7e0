"""stages/train.py as DVC runs it: a process that may be killed at any moment."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from textures import ROOT, contract_of, split_table, write_store

from handlens import checkpoint, manifest

MODEL = "small"
RECIPE = {"arch": "tiny", "epochs": 6, "batch_size": 4, "ema": 0.9, "lr": 0.003}


@dataclass
class Bench:
    """A folder with the inputs of one training."""

    folder: Path

    def start(self, **environment: str) -> "subprocess.Popen[str]":
        """Start the stage as a process group of its own."""
        files = ("split.csv", "contract.json", "pixels", f"models/{MODEL}", "metrics.json", "curve.csv")
        return subprocess.Popen(
            [sys.executable, str(ROOT / "stages/train.py"), "params.yaml", MODEL, *files],
            cwd=self.folder,
            env={**os.environ, "HANDLENS_THREADS": "1", **environment},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self) -> str:
        """Train to the end; give what was shown."""
        with self.start() as process:
            _, shown = process.communicate()
        assert process.returncode == 0, shown
        return shown

    def fails(self) -> str:
        """Run to an error that is meant for users; give its message."""
        with self.start() as process:
            _, shown = process.communicate()
        assert process.returncode == 1, shown
        assert "Traceback" not in shown
        return shown

    @property
    def state(self) -> Path:
        """The folder of the unfinished state."""
        return self.folder / ".dvc/tmp/handlens/train" / MODEL

    def hashes(self) -> dict[str, str]:
        """Hash the outputs, scores without the clock."""
        model = {path.name: path.read_bytes() for path in (self.folder / "models" / MODEL).iterdir()}
        scores = json.loads((self.folder / "metrics.json").read_text())
        del scores["seconds"]
        every = {**model, "curve": (self.folder / "curve.csv").read_bytes(), "scores": repr(scores).encode()}
        return {name: hashlib.sha256(content).hexdigest() for name, content in every.items()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["recipes"][MODEL] = RECIPE
    yaml.dump(params, tmp_path / "params.yaml")
    table = split_table()
    manifest.write(table, tmp_path / "split.csv")
    contract_of(table).save(tmp_path / "contract.json")
    write_store(tmp_path / "pixels", table)
    return Bench(tmp_path)


def test_killed_again_and_again_it_ends_as_if_never_interrupted(bench: Bench) -> None:
    shown = bench.run()
    assert f"{MODEL} epoch 6/6: training loss" in shown
    whole = bench.hashes()
    rows = list(csv.reader((bench.folder / "curve.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["model", "split", "epoch", "loss", "accuracy"]
    assert [row[:3] for row in rows[1:3]] == [[MODEL, "train", "1"], [MODEL, "val", "1"]]
    assert len(rows) == 1 + 2 * 6
    assert not bench.state.exists()
    for name in ("weights.safetensors", "model.json"):
        (bench.folder / "models" / MODEL / name).unlink()
    for epochs in (1, 2, 4):  # finished when the process is killed
        kill_after(bench, epochs)
        assert (bench.state / "state.safetensors").exists()
        assert not list((bench.folder / "models" / MODEL).iterdir())
    shown = bench.run()
    assert "goes on after step" in shown
    assert bench.hashes() == whole
    assert not bench.state.exists()
    network, card = checkpoint.load(bench.folder / "models" / MODEL)
    assert card.recipe["ema"] == 0.9
    assert checkpoint.count_parameters(network) == card.parameters


def kill_after(bench: Bench, epochs: int) -> None:
    """Start, and kill shortly after the curve has the rows of `epochs`: within the next one."""
    process = bench.start()
    curve = bench.folder / "curve.csv"
    curve.unlink(missing_ok=True)
    while not curve.exists() or curve.read_text(encoding="utf-8").count(",train,") < epochs:
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_other_parameters_begin_anew_and_say_so(bench: Bench) -> None:
    kill_after(bench, 1)
    file = bench.folder / "params.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("epochs: 6", "epochs: 1"), encoding="utf-8")
    shown = bench.run()
    assert "discards an unfinished training of other parameters, data or code" in shown
    assert json.loads((bench.folder / "metrics.json").read_text())["epochs"] == 1


def test_an_edit_during_the_training_is_refused_and_undoing_it_saves_the_work(bench: Bench) -> None:
    process = bench.start()
    while not (bench.state / "state.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.005)
    file = bench.folder / "params.yaml"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace("lr: 0.003", "lr: 0.004"), encoding="utf-8")
    _, shown = process.communicate()
    assert process.returncode == 1
    assert "were edited while it trained" in " ".join(shown.split())
    assert not (bench.folder / "metrics.json").exists()
    file.write_text(before, encoding="utf-8")
    assert "goes on after step 0 of epoch 7" in bench.run()


def test_two_processes_write_one_model(bench: Bench) -> None:
    with bench.start(HANDLENS_TORCHRUN="--standalone --nproc_per_node=2") as process:
        _, shown = process.communicate()
    assert process.returncode == 0, shown
    assert shown.count(f"{MODEL} epoch 6/6") == 1
    assert len((bench.folder / "curve.csv").read_text(encoding="utf-8").splitlines()) == 13
    assert checkpoint.load_card(bench.folder / "models" / MODEL).epochs == 6
    assert not bench.state.exists()


def test_what_users_can_mend_is_one_sentence(bench: Bench) -> None:
    (bench.folder / "contract.json").write_text("{}", encoding="utf-8")
    assert "contract.json is not a contract" in bench.fails()
