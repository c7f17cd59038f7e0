"""Does every network of the zoo survive its export? Each trained for a moment, then judged on real photos.

    python benchmarks/parity.py params.yaml data/split.csv data/contract.json data/scan/pixels docs

after `dvc repro split`. Networks see 64 px and learn for three epochs with the recipe of `zoo_study.py`;
heavy ones, by their MACs at the paper's input, for two epochs from 160 photos only: they answer, but hardly
know, and the closer two classes are, the less changes the answer. Every test photo is predicted by PyTorch
and by onnxruntime. Writes docs/zoo_parity.csv after every network, going on from the rows that are there.
"""

import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
from leakage import trained
from zoo_study import recipe_of

from handlens import manifest, params, zoo
from handlens.contract import Contract
from handlens.export import build
from handlens.export.metadata import Metadata
from handlens.export.parity import Limits
from handlens.export.reference import in_turn, photos_of, reference, training_pixels
from handlens.pixels import PixelStore
from handlens.preprocessing import Classifier

SIZE, EPOCHS, HEAVY_EPOCHS, HEAVY_PHOTOS = 64, 3, 2, 160
CALIBRATION = 64
KINDS = ("fp32", "fp16", "int8_weights")
ANY = Limits(min_agreement=0.0, max_difference=1.0, max_accuracy_drop=1.0)


def few(table: pd.DataFrame) -> pd.DataFrame:
    """Keep `HEAVY_PHOTOS` training rows, the classes in turn, and the other sides."""
    training = photos_of(table, "train")
    return pd.concat(
        [training.iloc[in_turn(training["label"], HEAVY_PHOTOS)], table[table["split"] != "train"]],
        ignore_index=True,
    )


def judge(
    name: str, data: dict[str, Any], table: pd.DataFrame, contract: Contract, store: PixelStore
) -> dict[str, Any]:
    """Train and export one network; gives its row of the table."""
    started = time.monotonic()
    heavy = zoo.describe(name).weight == "heavy"
    recipe = recipe_of(name, data, HEAVY_EPOCHS if heavy else EPOCHS)
    network = trained(recipe, few(table) if heavy else table, contract, store, seed=0)
    classifier = Classifier(network, contract).eval()
    described = Metadata(
        contract=contract, model=name, arch=name, kind="", scores={}, weights="0" * 64, commit=""
    )
    test = reference(classifier, contract.classes, table, store)
    photos = training_pixels(table, store, CALIBRATION)
    row: dict[str, Any] = {
        "name": name,
        "epochs": recipe.epochs,
        "test_accuracy": round(float((test.trained.argmax(1) == test.labels).mean()), 4),
        "answers": len(set(test.trained.argmax(1))),  # classes that it says at all
    }
    for kind, content in build.make(classifier, described, KINDS, photos).items():
        parity = build.check(kind, content, contract, test, store, ANY).parity
        row |= {
            f"{kind}_agreement": round(parity.agreement, 4),
            f"{kind}_max_difference": float(f"{parity.max_difference:.2g}"),
            f"{kind}_megabytes": round(len(content) / 1e6, 2),
        }
    return row | {"seconds": round(time.monotonic() - started)}


def main(params_file: str, split: str, contract_file: str, pixels: str, docs: str) -> None:
    """Judge what is not yet in the table."""
    data, csv = params.read_yaml(Path(params_file)), Path(docs) / "zoo_parity.csv"
    contract = Contract.load(Path(contract_file)).model_copy(update={"input_size": SIZE})
    table, store = manifest.read(Path(split)), PixelStore(Path(pixels))
    rows = pd.read_csv(csv).to_dict("records") if csv.exists() else []
    done = {row["name"] for row in rows}
    for name in sorted(zoo.names(), key=lambda name: zoo.describe(name).macs or 0):
        if name in done:
            continue
        rows.append(judge(name, data, table, contract, store))
        print(rows[-1], flush=True)
        pd.DataFrame(rows).to_csv(csv, index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
