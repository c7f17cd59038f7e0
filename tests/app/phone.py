"""Bundles for the browser tests: food photos under Chinese names, frozen ImageNet features, a linear head."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from ruamel.yaml import YAML
from sklearn.linear_model import LogisticRegression
from stagescripts import stage
from torch import nn

from handlens import manifest, metrics, photos, pretrained, samples, zoo
from handlens.contract import Contract
from handlens.export import build, golden, runtime
from handlens.export.metadata import Metadata
from handlens.export.parity import Limits
from handlens.pixels import PixelStore
from handlens.preprocessing import Classifier

ROOT = Path(__file__).parents[2]
NAMES = {
    "cereals_pulses": "谷物 与 豆类",
    "fruits": "水果",
    "seafood": "海鲜 seafood",
    "spices_nuts": "香料",
    "vegetables": "蔬菜",
}
LIMITS = {
    kind: Limits(min_agreement=0.0, max_difference=1.0, max_accuracy_drop=1.0)
    for kind in ("fp32", "fp16", "int8_weights", "int8")
}
MARGIN = 0.05
SIDES = ("train", "test", "val", "train", "test", "train", "val", "train", "test", "train")


@dataclass(frozen=True)
class Phone:
    """A bundle and the test photos that it is shown: rows of the split, squares (N, S, S, 3)."""

    root: Path
    model: str
    contract: Contract
    test: pd.DataFrame
    squares: NDArray[np.uint8]

    @property
    def folder(self) -> Path:
        """The bundle."""
        return self.root / "app"

    @property
    def exports(self) -> Path:
        """The exported files that the bundle was made of."""
        return self.root / "models" / self.model / "export"

    @property
    def raw(self) -> Path:
        """The folder that the paths of the test photos lie in."""
        return self.root / "照片"

    @property
    def numbers(self) -> dict[str, Any]:
        """What the stage measured."""
        return metrics.read(self.root / "app_metrics.json", "dvc repro app")

    def predictions(self, kind: str) -> NDArray[np.float32]:
        """Predict the test squares with Python's runtime."""
        return runtime.open_file(self.exports / f"{kind}.onnx").predict(self.squares)


def contract(classes: tuple[str, ...], size: int) -> Contract:
    """Make a contract with ImageNet's statistics."""
    return Contract(
        classes=classes,
        store_size=size,
        input_size=size,
        fit="letterbox",
        transparency="black",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        split_hash="browser tests",
    )


def fitted(source: Path | bytes, size: int) -> NDArray[np.uint8]:
    """Read and fit a photo as `scan` does."""
    rgb = photos.read(source, transparency="black", max_megapixels=50).rgb
    return photos.fit(rgb, size, "letterbox")[0]


def food(raw: Path, size: int) -> tuple[pd.DataFrame, NDArray[np.uint8]]:
    """Fetch the food photos, rename their classes, fit them; three of ten are test photos."""
    samples.sample("food", raw)
    paths = []
    for english, name in NAMES.items():
        (raw / english).rename(raw / name)
        paths += sorted((raw / name).iterdir())
    squares = [fitted(path, size) for path in paths]
    number = np.arange(len(paths))
    rows = pd.DataFrame(
        {
            "photo_id": [f"{i:016x}" for i in number],
            "path": [path.relative_to(raw).as_posix() for path in paths],
            "label": [path.parent.name for path in paths],
            "slot": number,
            "op": "none",
            "copy": 0,
            "group": number,
            "split": [SIDES[i % len(SIDES)] for i in number],
        }
    )
    return rows, np.stack(squares)


def predict(classifier: nn.Module, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Predict in batches."""
    with torch.inference_mode():
        parts = [classifier(torch.from_numpy(squares[i : i + 32])) for i in range(0, len(squares), 32)]
    return torch.cat(parts).numpy()


def with_head(network: nn.Module, head: nn.Linear, classifier: nn.Module, squares: Any, labels: Any) -> None:
    """Fit the last layer on frozen features of the training photos (logistic regression)."""
    seen: list[torch.Tensor] = []
    hook = head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    predict(classifier, squares)
    hook.remove()
    features = torch.cat(seen).numpy()
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    fitted = LogisticRegression(C=0.02, max_iter=300).fit((features - mean) / deviation, labels)
    weight = fitted.coef_ / deviation
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(fitted.intercept_ - (weight * mean).sum(1)))


def make(root: Path, *, size: int = 96) -> Phone:
    """Make the bundle of a MobileNetV2 that knows five kinds of food."""
    rows, squares = food(root / "照片", size)
    classes = tuple(sorted(set(rows["label"])))
    pretrained.fetch(pretrained.imagenet_source("mobilenet_v2", {}))
    network = zoo.build("mobilenet_v2", len(classes), weights="imagenet").eval()
    head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    agreed = contract(classes, size)
    classifier = Classifier(network, agreed).eval()
    training = (rows["split"] == "train").to_numpy()
    labels = rows["label"].map({name: i for i, name in enumerate(classes)}).to_numpy()
    with_head(network, head, classifier, squares[training], labels[training])
    return bundled(root, "mobilenet_v2", classifier, agreed, rows, squares)


def make_wide(root: Path, count: int = 55) -> Phone:
    """Make a bundle of an untrained network with many classes of 40 Chinese letters each."""
    letters = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜"
    classes = [letters[i:] + letters[:i] for i in range(len(letters))]
    classes += [name[::-1] for name in classes[: count - len(letters)]]
    return make_untrained(root, "tiny", 32, classes=tuple(sorted(classes)), kinds=("fp32",))


def make_untrained(
    root: Path,
    arch: str,
    size: int,
    *,
    kinds: tuple[str, ...],
    classes: tuple[str, ...] = tuple("abcdefghij"),
) -> Phone:
    """Make a bundle of a network with random weights."""
    count = 4 * len(classes)
    squares = np.random.default_rng(1).integers(0, 256, (count, size, size, 3), np.uint8)
    torch.manual_seed(0)
    agreed = contract(classes, size)
    classifier = Classifier(zoo.build(arch, len(classes), weights=None).eval(), agreed).eval()
    number = np.arange(count)
    rows = pd.DataFrame(
        {
            "photo_id": [f"{i:016x}" for i in number],
            "path": [f"{i}.png" for i in number],
            "label": [classes[i % len(classes)] for i in number],
            "slot": number,
            "op": "none",
            "copy": 0,
            "group": number,
            "split": [SIDES[i // len(classes)] for i in number],
        }
    )
    return bundled(root, arch, classifier, agreed, rows, squares, kinds=kinds)


def bundled(
    root: Path,
    model: str,
    classifier: Classifier,
    agreed: Contract,
    rows: pd.DataFrame,
    squares: NDArray[np.uint8],
    *,
    kinds: tuple[str, ...] = tuple(LIMITS),
    webgpu: bool = False,
) -> Phone:
    """Export a classifier, lay out what the stage `app` reads, and run the stage."""
    (root / "pixels").mkdir(parents=True)
    np.save(root / "pixels" / "00000.npy", squares)
    metadata = Metadata(
        contract=agreed, model=model, arch=model, kind="", scores={}, weights="0" * 64, commit=""
    )
    exports = build.export(
        classifier, metadata, rows, PixelStore(root / "pixels"),
        limits={kind: LIMITS[kind] for kind in kinds}, calibration=32, vectors=8,
    )  # fmt: skip
    build.write(exports, root / "models" / model / "export")
    write_inputs(root, model, build.summary(exports), agreed, webgpu)
    manifest.write(predictions(classifier, agreed, rows, squares), root / "predictions" / f"{model}.csv")
    run_stage(root, root / "app")
    test = rows[rows["split"] == "test"].reset_index(drop=True)
    return Phone(root, model, agreed, test, squares[test["slot"]])


def run_stage(root: Path, folder: Path) -> Path:
    """Run the stage on the files that `bundled` laid out; gives the bundle."""
    stage("app").main(
        root / "params.yaml", ROOT / "web", root / "models", root / "predictions", root / "compare.json",
        root / "export_metrics", root / "contract.json", folder, root / "app_metrics.json",
    )  # fmt: skip
    return folder


def write_inputs(
    root: Path, model: str, parity: Mapping[str, metrics.Value], agreed: Contract, webgpu: bool
) -> None:
    """Write params.yaml, the contract, the card and the scores of the only model."""
    yaml = YAML()
    data = yaml.load(ROOT / "params.yaml")
    data["recipes"][model] = {}
    data["models"] = data["export"]["models"] = [model]
    data["app"] |= {"title": "handlens", "precision": 0.9, "files": None, "webgpu": webgpu}
    yaml.dump(data, root / "params.yaml")
    agreed.save(root / "contract.json")
    card = {"arch": model, "parameters": 1234567, "commit": None}
    metrics.write(card, root / "models" / model / "model.json")
    scores = {"winner": model, "accuracy": 0.8, "accuracy_low": 0.7, "accuracy_high": 0.9}
    metrics.write(scores, root / "compare.json")
    metrics.write(parity, root / "export_metrics" / f"{model}.json")


def predictions(
    classifier: nn.Module, agreed: Contract, rows: pd.DataFrame, squares: NDArray[np.uint8]
) -> pd.DataFrame:
    """Predict the validation and test photos, as the stage `evaluate` does."""
    unseen = rows[rows["split"] != "train"].reset_index(drop=True)
    probabilities = predict(classifier, squares[unseen["slot"]])
    names = np.array(agreed.classes, object)[probabilities.argmax(1)]
    table = unseen[["photo_id", "path", "split", "group"]].assign(truth=unseen["label"], prediction=names)
    columns = ["photo_id", "path", "split", "group", "truth", "prediction"]
    return pd.concat([table[columns], pd.DataFrame(probabilities, columns=list(agreed.classes))], axis=1)


def threshold(phone: Phone) -> float:
    """Give the confidence below which the page is not sure."""
    return float(json.loads((phone.folder / "app.json").read_text(encoding="utf-8"))["threshold"])


def answers(phone: Phone, probabilities: NDArray[np.float32], limit: float) -> list[str]:
    """Say what an English page must show for each row of probabilities."""
    names = [phone.contract.classes[i] for i in probabilities.argmax(1)]
    return [
        name if row.max() >= limit else "Not sure" for name, row in zip(names, probabilities, strict=True)
    ]


def clear_answers(probabilities: NDArray[np.float32], limit: float, kind: str) -> NDArray[np.bool_]:
    """Tell which rows are not borderline.

    A film rounds colours, which moves a probability by up to `MARGIN`; another processor adds the tolerance
    of the golden vectors.
    """
    margin = MARGIN + golden.TOLERANCE[kind]
    best, second = -np.sort(-probabilities, axis=1)[:, :2].T
    between = (best - second > margin) | (best < limit - margin)
    return (np.abs(best - limit) > margin) & between
