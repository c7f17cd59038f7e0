"""Photos per second of training: our loop, the limit, the article's loop and torchvision's, in one run.

    python benchmarks/train.py RAW [--enlarge] [--sizes 96 224] [--models resnet18 ...] [--rounds 3]

RAW is a folder of class folders, such as `handlens sample solar RAW` makes. Photos from packages are small;
with `--enlarge` those who decode in every epoch read the copies of `data.py`, of 0.2 to 1.2 megapixels. The
four take turns, round by round, so that other work on the machine meets them alike; each line gives medians
over the rounds.

- ours: the project's default recipe, augmentation on, photos from the memory-mapped store;
- limit: the same network, optimizer and batch, fed from one normalised tensor already in memory;
- article: ImageFolder, resize, ToTensor, Normalize; DataLoader without workers; SGD; loss.item() per batch;
- torchvision: the reference recipe (RandomResizedCrop, flip, its loop), DataLoader with a worker per core.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
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
CPU = torch.device("cpu")
Steps = Iterator[int]  # takes a step, gives its photos


def read_store(raw: Path, size: int, folder: Path) -> tuple[pd.DataFrame, Contract, PixelStore]:
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
    return table, contract, PixelStore(folder)


def ours(recipe: params.Recipe, table: pd.DataFrame, contract: Contract, store: PixelStore) -> Steps:
    """Train as the project does."""
    one = distributed.Processes(0, 1, CPU)
    trainer = assembly.trainer(recipe, table, contract, store, seed=0, processes=one)
    yield 0
    yield from (event.photos for event in trainer.run() if isinstance(event, Step))


def limit(recipe: params.Recipe, table: pd.DataFrame, contract: Contract, store: PixelStore) -> Steps:
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


def speed(steps: Steps, seconds: float) -> float:
    """Take steps for about `seconds` and give photos per second; the first step does not count."""
    next(steps)
    photos, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        photos += next(steps)
    return photos / (time.perf_counter() - started)


def compare(model: str, size: int, raw: Path, folder: Path, rounds: int, seconds: float) -> None:
    """Print a line for one network at one size."""
    data = params.read_yaml(Path(__file__).parent.parent / "params.yaml")
    data["recipes"][model] = {"arch": model, "epochs": 1000}
    recipe = params.validate(data, "params.yaml").recipe(model)
    table, contract, store = read_store(raw, size, folder)
    classes = len(contract.classes)
    contenders = {
        "ours": ours(recipe, table, contract, store),
        "limit": limit(recipe, table, contract, store),
        "article": article(recipe, raw, size, classes),
        "torchvision": reference(recipe, raw, size, classes),
    }
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for steps in contenders.values():
        next(steps)
    for _ in range(rounds):
        for name, steps in contenders.items():
            speeds[name].append(speed(steps, seconds))
    ratios = {
        name: statistics.median(a / b for a, b in zip(speeds["ours"], speeds[name], strict=True))
        for name in ("limit", "article", "torchvision")
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
    torch.set_num_threads(distributed.threads(1))
    with tempfile.TemporaryDirectory() as folder:
        raw = enlarged(chosen.raw, Path(folder) / "enlarged") if chosen.enlarge else chosen.raw
        for size in chosen.sizes:
            for model in chosen.models:
                pixels = Path(folder) / f"{model}-{size}"
                compare(model, size, raw, pixels, chosen.rounds, chosen.seconds)


if __name__ == "__main__":
    main()
