"""Photos per second of training: our loop, the limit, the article's loop and torchvision's, in one run.

    python benchmarks/train.py RAW [--enlarge] [--sizes 96 224] [--models resnet18 ...] [--rounds 3]

RAW is a folder of class folders, such as `handlens sample solar RAW` makes. Photos from packages are small;
with `--enlarge` those who decode in every epoch read the copies of `data.py`, of 0.2 to 1.2 megapixels. Each
of the four has a process of its own, and they take turns, round by round, so that other work on the machine
meets them alike; each line gives medians over the rounds.

- ours: the project's default recipe, augmentation on, photos from the memory-mapped store;
- limit: the same network, optimizer and batch, fed from one normalised tensor already in memory;
- article: ImageFolder, resize, ToTensor, Normalize; DataLoader without workers; SGD; loss.item() per batch;
- torchvision: the reference recipe (RandomResizedCrop, flip, its loop), DataLoader with a worker per core.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from data import enlarged
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from handlens import assembly, distributed, params, zoo
from handlens.contract import Contract
from handlens.pixels import PixelStore
from handlens.training import Step

MODELS = ["resnet18", "mobilenet_v2", "shufflenet_v2", "squeezenet1_1"]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Steps = Iterator[int]  # takes a step, gives its photos


def read_store(raw: Path, size: int, folder: Path) -> tuple[pd.DataFrame, Contract]:
    """Pack all photos as squares of `size`, every fourth for validation."""
    paths = sorted(path for path in raw.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    photos = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
    folder.mkdir(parents=True)
    np.save(
        folder / "00000.npy",
        [cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA) for photo in photos],
    )
    labels = [path.relative_to(raw).parts[0] for path in paths]
    sides = ["val" if number % 40 == 0 else "train" for number in range(len(paths))]
    table = pd.DataFrame({"label": labels, "slot": np.arange(len(paths)), "op": "none", "split": sides})
    contract = Contract(
        classes=tuple(sorted(set(labels))),
        store_size=size,
        input_size=size,
        fit="squash",
        transparency="black",
        mean=MEAN,
        std=STD,
        split_hash="",
    )
    return table, contract


def ours(
    recipe: params.Recipe,
    table: pd.DataFrame,
    contract: Contract,
    store: PixelStore,
    one: distributed.Processes,
) -> Steps:
    """Train as the project does."""
    trainer = assembly.trainer(recipe, table, contract, store, seed=0, processes=one)
    yield 0
    yield from (event.photos for event in trainer.run() if isinstance(event, Step))


def limit(recipe: params.Recipe, contract: Contract) -> Steps:
    """Train on batches that lie ready in memory."""
    network = zoo.build(recipe.arch, len(contract.classes)).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    size, count = contract.input_size, 4
    images = torch.randn(count, recipe.batch_size, 3, size, size)
    batches = [batch.contiguous(memory_format=torch.channels_last) for batch in images]
    labels = torch.randint(len(contract.classes), (recipe.batch_size,))
    number = 0
    while True:
        yield recipe.batch_size if number else 0
        optimizer.zero_grad()
        F.cross_entropy(network(batches[number % count]), labels, label_smoothing=0.1).backward()
        optimizer.step()
        number += 1


def folder_loop(
    network: nn.Module, loader: Callable[[], DataLoader[tuple[Tensor, Tensor]]], lr: float
) -> Steps:
    """Train the usual way: a DataLoader, SGD, the loss read after every batch."""
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    network.train()
    running = 0.0
    yield 0
    while True:
        for images, labels in loader():
            optimizer.zero_grad()
            loss = criterion(network(images), labels)
            loss.backward()
            optimizer.step()
            running += loss.item()
            yield len(labels)


def article(recipe: params.Recipe, raw: Path, size: int, classes: int) -> Steps:
    """Train as the article does."""
    change = transforms.Compose(
        [transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )
    data = ImageFolder(str(raw), change)
    return folder_loop(
        zoo.build(recipe.arch, classes), lambda: DataLoader(data, recipe.batch_size, shuffle=True), 1e-3
    )


def reference(recipe: params.Recipe, raw: Path, size: int, classes: int) -> Steps:
    """Train as torchvision's references/classification does by default."""
    change = v2.Compose(
        [
            v2.RandomResizedCrop(size, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float, scale=True),
            v2.Normalize(MEAN, STD),
            v2.ToPureTensor(),
        ]
    )
    data = ImageFolder(str(raw), change)
    workers = len(os.sched_getaffinity(0))
    return folder_loop(
        zoo.build(recipe.arch, classes),
        lambda: DataLoader(data, recipe.batch_size, shuffle=True, num_workers=workers, drop_last=True),
        1e-3,
    )


CONTENDERS = ("ours", "limit", "article", "torchvision")


def contender(
    name: str, model: str, size: int, raw: Path, data: tuple[pd.DataFrame, Contract, Path], turns: Connection
) -> None:
    """Train in this process, when it is its turn."""
    table, contract, folder = data
    recipe, classes = recipe_of(model), len(contract.classes)
    if name in ("article", "torchvision"):
        torch.set_num_threads(distributed.threads(1))
        serve({"article": article, "torchvision": reference}[name](recipe, raw, size, classes), turns)
        return
    with distributed.processes("cpu") as one:
        store = PixelStore(folder)
        serve(
            limit(recipe, contract) if name == "limit" else ours(recipe, table, contract, store, one), turns
        )


def serve(steps: Steps, turns: Connection) -> None:
    """Take steps for as many seconds as `turns` tells and answer with photos per second, until it tells 0."""
    next(steps)
    while seconds := turns.recv():
        next(steps)
        photos, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            photos += next(steps)
        turns.send(photos / (time.perf_counter() - started))


def recipe_of(model: str) -> params.Recipe:
    """Take the project's default recipe for a network."""
    data = params.read_yaml(Path(__file__).parent.parent / "params.yaml")
    data["recipes"][model] = {"arch": model, "epochs": 1000}
    return params.validate(data, "params.yaml").recipe(model)


def compare(model: str, size: int, raw: Path, folder: Path, rounds: int, seconds: float) -> None:
    """Print a line for one network at one size."""
    data = (*read_store(raw, size, folder), folder)
    start = multiprocessing.get_context("spawn")
    turns = {}
    for name in CONTENDERS:
        turns[name], theirs = start.Pipe()
        start.Process(target=contender, args=(name, model, size, raw, data, theirs), daemon=False).start()
    speeds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name in CONTENDERS:
            turns[name].send(seconds)
            speeds[name].append(turns[name].recv())
    for name in CONTENDERS:
        turns[name].send(0)
    ratios = {
        name: statistics.median(a / b for a, b in zip(speeds["ours"], speeds[name], strict=True))
        for name in CONTENDERS[1:]
    }
    medians = "  ".join(f"{name} {statistics.median(values):6.1f}" for name, values in speeds.items())
    shares = "  ".join(f"ours/{name} {ratio:.2f}" for name, ratio in ratios.items())
    print(f"{model:15} {size} px  photos/s: {medians}  |  {shares}", flush=True)


def main() -> None:
    """Compare all networks at all sizes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("raw", type=Path)
    parser.add_argument("--enlarge", action="store_true")
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 224])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw = enlarged(chosen.raw, Path(folder) / "enlarged") if chosen.enlarge else chosen.raw
        for size in chosen.sizes:
            for model in chosen.models:
                pixels = Path(folder) / f"{model}-{size}"
                compare(model, size, raw, pixels, chosen.rounds, chosen.seconds)


if __name__ == "__main__":
    main()
