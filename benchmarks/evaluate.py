"""Predicting test photos in batches against the article's loop, and judging ten models' saved predictions.

    python benchmarks/evaluate.py RAW SPLIT CONTRACT PIXELS PREDICTIONS MODEL [ROUNDS]
    python benchmarks/evaluate.py data/raw data/split.csv data/contract.json data/scan/pixels \
        data/predictions/mobilenet_v2.csv models/mobilenet_v2

after `dvc repro`. The article opens each test photo, resizes it, and runs the network on a batch of one. Both
take turns, round by round. Then the table of predictions is judged ten times (bootstrap intervals, tables and
figures), as the stage does it for ten models.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn
from torchvision import transforms

from handlens import checkpoint, distributed, evaluation, inspection, labels, manifest
from handlens.contract import Contract
from handlens.pixels import PixelStore
from handlens.preprocessing import Classifier

MODELS = 10


def one_by_one(network: nn.Module, paths: list[Path], contract: Contract) -> list[int]:
    """Predict as the article does."""
    change = transforms.Compose(
        [
            transforms.Resize((contract.input_size, contract.input_size)),
            transforms.ToTensor(),
            transforms.Normalize(contract.mean, contract.std),
        ]
    )
    answers = []
    with torch.no_grad():
        for path in paths:
            image = change(Image.open(path).convert("RGB"))[None]
            answers.append(int(network(image).softmax(1).argmax(1)))
    return answers


def seconds(what: Callable[[], object]) -> float:
    """Time a call."""
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def judge(predictions: pd.DataFrame, rows: pd.DataFrame, store: PixelStore, contract: Contract) -> None:
    """Judge and draw as the stage does."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(MODELS):
            judgement = evaluation.judge(
                predictions, contract.classes, f"model {number}", resamples=1000, seed=number
            )
            pictures = Path(folder) / str(number)
            evaluation.draw(judgement, contract.classes, pictures)
            suspects = labels.suspects(predictions, contract.classes)
            inspection.draw_suspects(suspects, rows, store, "model", 24, pictures)
            looked_at = inspection.choose(judgement.test, rows, contract.classes, 24)
            cold = np.zeros((len(looked_at), 0, 0), np.uint8)
            inspection.draw(looked_at, cold, store, judgement.test, "model", pictures)


def main(
    raw: str, split: str, contract_file: str, pixels: str, predictions: str, model: str, rounds: str = "5"
) -> None:
    """Print both comparisons."""
    torch.set_num_threads(distributed.threads(1))
    contract, store = Contract.load(Path(contract_file)), PixelStore(Path(pixels))
    rows = manifest.read(Path(split))
    test = rows[rows["split"] == "test"]
    paths = [Path(raw) / path for path in test["path"]]
    network = checkpoint.load(Path(model), contract)[0].eval()
    classifier = Classifier(network, contract)
    times: dict[str, list[float]] = {"ours": [], "article": []}
    evaluation.predict(classifier, store, test, contract.classes)
    for _ in range(int(rounds)):
        times["ours"].append(seconds(lambda: evaluation.predict(classifier, store, test, contract.classes)))
        times["article"].append(seconds(lambda: one_by_one(network, paths, contract)))
    for name, values in times.items():
        print(f"{name:8} {len(test) / statistics.median(values):7.0f} photos/s")
    ratio = statistics.median(a / b for a, b in zip(times["article"], times["ours"], strict=True))
    print(f"article / ours {ratio:.1f} (at least 5)")
    table = manifest.read(Path(predictions))
    print(
        f"{MODELS} models judged in {seconds(lambda: judge(table, rows, store, contract)):.0f} s (at most 60)"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
