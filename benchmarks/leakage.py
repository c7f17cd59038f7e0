"""By how many points does the article's protocol flatter itself? The same photos and network, five seeds.

    python benchmarks/leakage.py params.yaml data/filter.csv data/scan/photos.parquet data/scan/pixels

after `dvc repro split` (or the whole chain) on a sample. For every seed a fifth of the photos, whole
near-duplicate groups, is locked away. With the rest the network is trained twice, by one recipe: the
article's for transfer (Adam 1e-4, ten times on the head, small classes filled up with flips beforehand).

- article: flips are made first, then all rows are split at random; the best epoch is chosen on the test rows,
  and their accuracy is what is reported;
- ours: whole groups are split first, flips stay in the train side; the best epoch is chosen on validation
  photos, and the accuracy on the test photos is reported.

What either reports is then held against the accuracy of the same network on the photos that were locked away.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from recipes import accuracy, contract_of
from scipy import stats
from torch import nn

from handlens import assembly, augmenting, distributed, manifest, normalization, params, splitting
from handlens.contract import Contract
from handlens.pixels import PixelStore

SEEDS = 5
RECIPE = {
    "arch": "mobilenet_v2",
    "weights": "imagenet",
    "optimizer": "adam",
    "lr": 1e-4,
    "head_lr_mult": 10,
    "weight_decay": 0.0,
    "schedule": "constant",
    "warmup_epochs": 0,
    "label_smoothing": 0.0,
    "batch_size": 32,
    "epochs": 6,
    "augment": {"crop_scale": None, "hflip": False, "vflip": False},
}
NO_PINS = pd.DataFrame({name: pd.Series(dtype=str) for name in splitting.PIN_COLUMNS})


def by_article(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Split rows at random; the test rows choose the epoch, too."""
    test = np.random.default_rng(seed).random(len(rows)) < 0.2
    chosen = rows.assign(split=np.where(test, "test", "train"))
    return pd.concat([chosen, chosen[test].assign(split="val")])


def by_groups(rows: pd.DataFrame, groups: pd.Series, seed: int) -> pd.DataFrame:
    """Split whole groups, as the stage does."""
    return splitting.split(
        rows, groups.loc[rows["slot"]], NO_PINS, val=0.15, test=0.2, folds=None, fold=0, seed=seed
    )


def trained(
    recipe: params.Recipe, table: pd.DataFrame, contract: Contract, store: PixelStore, seed: int
) -> nn.Module:
    """Train a network and give it in eval mode."""
    with distributed.processes("cpu") as one:
        trainer = assembly.trainer(recipe, table, contract, store, seed=seed, processes=one)
        for _ in trainer.run():
            pass
        return trainer.best_network()


def main(params_file: str, verdict_file: str, photos_file: str, pixels: str) -> None:
    """Run all seeds and print what each protocol reports and what is true."""
    data = params.read_yaml(Path(params_file))
    data |= {"models": ["article"], "export": {**data["export"], "models": []}}
    p = params.validate({**data, "recipes": {"article": RECIPE}}, "params.yaml")
    store, photos = PixelStore(Path(pixels)), manifest.read_photos(Path(photos_file))
    groups = photos[photos["slot"] >= 0].set_index("slot")["group"]
    kept = augmenting.augment(manifest.read(Path(verdict_file)), min_count=None, ops=[], seed=0)
    reported: dict[str, list[float]] = {"article": [], "ours": []}
    true: dict[str, list[float]] = {"article": [], "ours": []}
    for seed in range(SEEDS):
        locked = splitting.split(
            with_sums(kept, photos), groups.loc[kept["slot"]], NO_PINS,
            val=0.15, test=0.2, folds=SEEDS, fold=seed, seed=0,
        )  # fmt: skip
        unseen = locked[locked["split"] == "test"]
        pool = kept[~kept["slot"].isin(unseen["slot"])].assign(status="ok", detail="")
        rows = augmenting.augment(pool, min_count=p.augment.min_count, ops=list(p.augment.ops), seed=seed)
        rows = with_sums(rows, photos)
        for name, table in (("article", by_article(rows, seed)), ("ours", by_groups(rows, groups, seed))):
            contract = contract_of(table, p)
            network = trained(p.recipe("article"), table, contract, store, seed)
            reported[name].append(accuracy(network, table, "test", contract, store))
            true[name].append(accuracy(network, unseen, "test", contract, store))
            print(
                f"seed {seed}, {name:7}: reports {reported[name][-1]:.3f}, true {true[name][-1]:.3f}",
                flush=True,
            )
    for name in reported:
        points = 100 * (np.array(reported[name]) - np.array(true[name]))
        half = stats.t.ppf(0.975, SEEDS - 1) * points.std(ddof=1) / SEEDS**0.5
        print(
            f"{name:7} reports {np.mean(reported[name]):.3f}, true {np.mean(true[name]):.3f}: "
            f"flatters itself by {points.mean():+.1f} points, 95 % interval {points.mean() - half:+.1f} to "
            f"{points.mean() + half:+.1f}"
        )


def with_sums(rows: pd.DataFrame, photos: pd.DataFrame) -> pd.DataFrame:
    """Join the sums, as the stage `stats` does; every row is its own original."""
    return normalization.add_sums(rows.assign(copy=0), photos)


if __name__ == "__main__":
    main(*sys.argv[1:])
