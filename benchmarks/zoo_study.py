"""Which design earns its cost on real photos? Every light and medium network, the same small budget.

    python benchmarks/zoo_study.py params.yaml data/split.csv data/contract.json data/scan/pixels docs [3]

after `dvc repro split`. Trains each network of the zoo that is called light or medium (by its MACs at the
paper's input, see `handlens zoo --json`) and takes at most a billion MACs at ours, from scratch with the
`train:` section of params.yaml for EPOCHS (3), gradients clipped at norm 1. Networks without any
normalisation get a fifth of the learning rate, as they do in params.yaml. The
epoch is chosen on validation photos. Writes docs/zoo_study.csv after every network, going on from the rows of
as many epochs that are there, and the picture docs/zoo_study.png.
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.transforms import Bbox
from torch import nn

from handlens import assembly, distributed, manifest, params, zoo
from handlens.batches import plain_batches, rows_of
from handlens.contract import Contract
from handlens.figures import style
from handlens.pixels import PixelStore
from handlens.preprocessing import Preprocess
from handlens.training import Epoch

CPU = torch.device("cpu")
MOST_MACS = 1e9
CALM = 0.2  # share of the learning rate for networks without normalisation
DOT = 4  # px from the middle of a dot to where a name may stand
LABELS = [(4, 3), (4, -9), (-4, 3), (-4, -9), (4, 11), (-4, 11), (4, -17), (-4, -17)]  # points from the dot


def candidates(input_size: int) -> list[str]:
    """List the networks of the study, the cheapest first: a stopped run has the rows that cost least."""
    cards = [zoo.describe(name) for name in zoo.names()]
    fitting = [card for card in cards if card.weight != "heavy" and card.min_size <= input_size]
    names = [card.name for card in fitting if card.family != "tiny"]
    with torch.device("meta"):  # counted, not computed
        macs = {name: zoo.count(zoo.build(name, 2), input_size).macs for name in names}
    return sorted((name for name in names if macs[name] <= MOST_MACS), key=lambda name: macs[name])


def normalised(network: nn.Module) -> bool:
    """Tell whether a network has any batch norm."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


def recipe_of(name: str, data: dict[str, Any], epochs: int) -> params.Recipe:
    """Take `train:` of params.yaml for an architecture."""
    with torch.device("meta"):
        calm = not normalised(zoo.build(name, 2))
    lr = data["train"]["lr"] * (CALM if calm else 1)
    recipe = {"arch": name, "epochs": epochs, "lr": lr, "clip_norm": 1.0}
    changed = {
        **data,
        "models": [name],
        "recipes": {name: recipe},
        "export": {**data["export"], "models": []},
    }
    return params.validate(changed, "params.yaml").recipe(name)


def study(
    recipe: params.Recipe, table: pd.DataFrame, contract: Contract, store: PixelStore, seed: int
) -> dict[str, Any]:
    """Train one network; gives its row of the table."""
    started = time.monotonic()
    with distributed.processes("cpu") as one:
        trainer = assembly.trainer(recipe, table, contract, store, seed=seed, processes=one)
        epochs = [event for event in trainer.run() if isinstance(event, Epoch)]
    network = trainer.best_network()
    counts = zoo.count(network, contract.input_size)
    right = answers_right(network, table, contract, store)
    card = zoo.describe(recipe.arch)
    return {
        "name": card.name,
        "family": card.family,
        "year": card.year,
        "params": counts.params,
        "macs": counts.macs,
        "val_accuracy": round(max(epoch.val_accuracy for epoch in epochs), 4),
        "test_accuracy": round(float(right.mean()), 4),
        "half_interval": round(1.96 * float(right.std()) / len(right) ** 0.5, 4),
        "epochs": recipe.epochs,
        "seconds": round(time.monotonic() - started),
    }


def answers_right(
    network: nn.Module, table: pd.DataFrame, contract: Contract, store: PixelStore
) -> np.ndarray:
    """Tell for every test photo whether the network is right."""
    test = rows_of(table, "test", contract.classes)
    preprocess = Preprocess(contract)
    with torch.inference_mode():
        batches = plain_batches(store, test, 64, CPU)
        answers = [network(preprocess(pixels)).argmax(1).numpy() for _, pixels in batches]
    return np.concatenate(answers) == test.labels


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw accuracy against MACs; the step line joins what no cheaper network reaches."""
    table = table.sort_values("macs")
    front = table[table["test_accuracy"] > table["test_accuracy"].cummax().shift(fill_value=0)]
    families = list(dict.fromkeys(table["family"]))
    colour = dict(zip(families, style.colours(len(families)), strict=True))
    with style.drawing(path, 10, 6) as figure:
        axes = figure.subplots()
        axes.step(front["macs"] / 1e6, front["test_accuracy"], where="post", color=style.GRID, lw=2, zorder=1)
        for row in table.itertuples():
            axes.plot(row.macs / 1e6, row.test_accuracy, "o", color=colour[row.family], ms=5)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set(xlabel="MACs of one photo (millions)", ylabel="accuracy on the test photos")
        epochs, half = table["epochs"].iloc[0], table["half_interval"].median()
        axes.set_title(
            f"{len(table)} networks from scratch, {epochs} epochs each; 95 % interval of a dot: ±{half:.2f}"
        )
        axes.margins(x=0.12, y=0.08)
        figure.canvas.draw()
        dots = axes.transData.transform(table[["macs", "test_accuracy"]] / [1e6, 1])
        taken = [Bbox.from_extents(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in dots]
        for row in table.sort_values("test_accuracy", ascending=False).itertuples():
            place_label(axes, row.name, (row.macs / 1e6, row.test_accuracy), taken)


def place_label(axes: Any, text: str, at: tuple[float, float], taken: list[Bbox]) -> None:
    """Write a name beside its dot, where it hides no other name if there is such a place."""
    for offset in LABELS:
        side = "left" if offset[0] > 0 else "right"
        label = axes.annotate(text, at, offset, textcoords="offset points", ha=side, fontsize=7)
        box = label.get_window_extent()
        if not any(box.overlaps(other) for other in taken):
            break
        if offset != LABELS[-1]:
            label.remove()
    taken.append(box)


def main(params_file: str, split: str, contract_file: str, pixels: str, docs: str, epochs: str = "3") -> None:
    """Train what is not yet in the table, then draw."""
    data, contract = params.read_yaml(Path(params_file)), Contract.load(Path(contract_file))
    table, store, csv = manifest.read(Path(split)), PixelStore(Path(pixels)), Path(docs) / "zoo_study.csv"
    found = pd.read_csv(csv).to_dict("records") if csv.exists() else []
    rows = [row for row in found if row["epochs"] == int(epochs)]
    done = {row["name"] for row in rows}
    for name in candidates(contract.input_size):
        if name in done:
            continue
        recipe = recipe_of(name, data, int(epochs))
        rows.append(study(recipe, table, contract, store, data["seed"]))
        print(rows[-1], flush=True)
        csv.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(csv, index=False)
    draw(pd.DataFrame(rows), csv.with_suffix(".png"))


if __name__ == "__main__":
    main(*sys.argv[1:])
