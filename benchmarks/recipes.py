"""Do the default recipes earn their place? Five folds each, test accuracy, paired differences.

    python benchmarks/recipes.py transfer PARAMS STATS PHOTOS PIXELS
    python benchmarks/recipes.py scratch params.yaml data/stats.csv data/scan/photos.parquet data/scan/pixels

after `dvc repro stats` (or the whole chain) on a sample. Every fold is the test side once, the next one the
validation side, and its number is the seed. All choices are made on validation photos.

- transfer: the recipe `mobilenet_v2_transfer` against a logistic regression on the same network's frozen
  ImageNet features of the same photos, its strength chosen on validation;
- scratch: the recipe `shufflenet_v2` against the article's recipe for the same network and as many epochs:
  SGD with learning rate 1e-3 and momentum 0.9, no schedule, no augmentation, the epoch of the lowest training
  loss.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from handlens import assembly, distributed, manifest, normalization, params, splitting, zoo
from handlens.batches import Rows, plain_batches, rows_of
from handlens.contract import Contract, split_hash
from handlens.pixels import PixelStore
from handlens.preprocessing import Preprocess
from handlens.training import Epoch

FOLDS = 5
ARTICLE = {
    "optimizer": "sgd",
    "lr": 1e-3,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "schedule": "constant",
    "warmup_epochs": 0,
    "label_smoothing": 0.0,
    "augment": {"crop_scale": None, "hflip": False, "vflip": False},
}
CPU = torch.device("cpu")
Ours = Callable[["Fold"], float]


@dataclass(frozen=True)
class Fold:
    """One split of the photos, its contract, and the parameters as a mapping."""

    number: int
    data: dict[str, object]
    table: pd.DataFrame
    contract: Contract
    store: PixelStore

    def recipe(self, name: str, changes: dict[str, object]) -> params.Recipe:
        """Take a recipe of params.yaml with `changes`."""
        recipes = {**self.data["recipes"]}  # type: ignore[dict-item]
        recipes[name] = {**recipes[name], **changes}
        return params.validate({**self.data, "recipes": recipes}, "params.yaml").recipe(name)


def make_fold(
    number: int, data: dict[str, object], rows: pd.DataFrame, groups: pd.Series, store: PixelStore
) -> Fold:
    """Split as the stage does, with fold `number` as the test side."""
    pins = pd.DataFrame({name: pd.Series(dtype=str) for name in splitting.PIN_COLUMNS})
    table = splitting.split(rows, groups, pins, val=0.1, test=0.1, folds=FOLDS, fold=number, seed=0)
    return Fold(number, data, table, contract_of(table, params.validate(data, "params.yaml")), store)


def contract_of(table: pd.DataFrame, p: params.Params) -> Contract:
    """Freeze class names and preprocessing, as the stage `split` does."""
    mean, std = normalization.mean_std(table[table["split"] == "train"])
    return Contract(
        classes=tuple(sorted(set(table["label"]))),
        store_size=p.scan.store_size,
        input_size=p.input_size,
        fit=p.scan.fit,
        transparency=p.scan.transparency,
        mean=mean,
        std=std,
        split_hash=split_hash(table),
    )


def trained(fold: Fold, name: str, changes: dict[str, object], by_training_loss: bool = False) -> float:
    """Train a recipe and give the test accuracy of its best epoch, or that of the lowest training loss."""
    recipe, lowest = fold.recipe(name, changes), float("inf")
    with distributed.processes("cpu") as one:
        trainer = assembly.trainer(
            recipe, fold.table, fold.contract, fold.store, seed=fold.number, processes=one
        )
        for event in trainer.run():
            if isinstance(event, Epoch) and by_training_loss and event.train_loss < lowest:
                lowest = event.train_loss
                trainer.best = {key: value.clone() for key, value in trainer.network.state_dict().items()}
    network = trainer.best_network()
    return accuracy(network, fold.table, "test", fold.contract, fold.store)


def accuracy(
    network: nn.Module, table: pd.DataFrame, side: str, contract: Contract, store: PixelStore
) -> float:
    """Give the share of right answers on a side of the table."""
    rows = rows_of(table, side, contract.classes)
    return float((outputs(network, rows, contract, store).argmax(1) == rows.labels).mean())


def outputs(network: nn.Module, rows: Rows, contract: Contract, store: PixelStore) -> NDArray[np.float32]:
    """Run the network over plain photos; gives (N, outputs)."""
    preprocess = Preprocess(contract)
    with torch.inference_mode():
        batches = plain_batches(store, rows, 64, CPU)
        return np.concatenate([network(preprocess(pixels)).numpy() for _, pixels in batches])


def frozen_features(fold: Fold) -> float:
    """Give the test accuracy of a logistic regression on pooled ImageNet features of MobileNet V2."""
    network = zoo.build("mobilenet_v2", len(fold.contract.classes), weights="imagenet").eval()
    pooled = nn.Sequential(network.get_submodule("features"), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    sides = {side: rows_of(fold.table, side, fold.contract.classes) for side in manifest.SPLITS}
    features = {side: outputs(pooled, rows, fold.contract, fold.store) for side, rows in sides.items()}
    scaler = StandardScaler().fit(features["train"])
    scaled = {side: scaler.transform(values) for side, values in features.items()}
    best: tuple[float, float] = (-1.0, 0.0)
    for strength in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        model = LogisticRegression(C=strength, max_iter=3000).fit(scaled["train"], sides["train"].labels)
        val, test = (model.score(scaled[side], sides[side].labels) for side in ("val", "test"))
        best = max(best, (val, test), key=lambda pair: pair[0])
    return best[1]


def report(names: tuple[str, str], ours: list[float], theirs: list[float]) -> None:
    """Print means and the 95 % interval of the paired difference (Student's t)."""
    difference = np.array(ours) - np.array(theirs)
    half = stats.t.ppf(0.975, len(difference) - 1) * difference.std(ddof=1) / len(difference) ** 0.5
    for name, values in zip(names, (ours, theirs), strict=True):
        print(f"{name:40} {np.mean(values):.3f}  " + " ".join(f"{value:.3f}" for value in values))
    print(
        f"difference {difference.mean():+.3f}, 95 % interval {difference.mean() - half:+.3f} to "
        f"{difference.mean() + half:+.3f}"
    )


def main(what: str, params_file: str, rows_file: str, photos_file: str, pixels: str) -> None:
    """Run all folds of one comparison."""
    data, rows = params.read_yaml(Path(params_file)), manifest.read(Path(rows_file))
    photos = manifest.read_photos(Path(photos_file), ["slot", "group"])
    groups = photos[photos["slot"] >= 0].set_index("slot")["group"].loc[rows["slot"]]
    store = PixelStore(Path(pixels))
    ours, theirs = [], []
    for number in range(FOLDS):
        fold = make_fold(number, data, rows, groups, store)
        if what == "transfer":
            names = ("mobilenet_v2_transfer", "frozen features, logistic regression")
            ours.append(trained(fold, "mobilenet_v2_transfer", {}))
            theirs.append(frozen_features(fold))
        else:
            names = ("shufflenet_v2", "the article's recipe")
            ours.append(trained(fold, "shufflenet_v2", {}))
            theirs.append(trained(fold, "shufflenet_v2", ARTICLE, by_training_loss=True))
        print(f"fold {number}: {ours[-1]:.3f} against {theirs[-1]:.3f}", flush=True)
    report(names, ours, theirs)


if __name__ == "__main__":
    main(*sys.argv[1:])
