"""Drawn photos whose class depends on colour and on proportions, and a small network that knows them."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from handlens import checkpoint, photos, zoo
from handlens.checkpoint import Card
from handlens.contract import Contract, Fit
from handlens.export import build
from handlens.export.metadata import Metadata
from handlens.export.parity import Limits
from handlens.export.reference import one_thread
from handlens.pixels import PixelStore
from handlens.preprocessing import Classifier

CLASSES = ("红 圆 red round", "蓝 圆 blue round", "蓝 扁 blue flat")
SIZE = 32  # px, the squares
COUNT = 150

LIMITS = {
    "fp32": Limits(min_agreement=1.0, max_difference=1e-4, max_accuracy_drop=0.0),
    "fp16": Limits(min_agreement=0.95, max_difference=0.02, max_accuracy_drop=0.02),
    "int8_weights": Limits(min_agreement=0.95, max_difference=0.2, max_accuracy_drop=0.05),
    "int8": Limits(min_agreement=0.85, max_difference=0.6, max_accuracy_drop=0.1),
}


def draw(number: int) -> NDArray[np.uint8]:
    """Draw photo `number` of class number % 3: a wide RGB picture (H, W, 3) with an ellipse on noise."""
    rng = np.random.default_rng(number)
    kind = number % 3
    height, width = rng.integers(44, 60), rng.integers(90, 120)
    image = rng.normal(110, 12, (height, width, 3))
    colour = [(200, 60, 50), (50, 70, 200), (50, 70, 200)][kind] + rng.normal(0, 12, 3)
    axes = (22, 9) if kind == 2 else (15, 15)
    centre = (int(rng.integers(26, width - 26)), height // 2)
    cv2.ellipse(image, centre, axes, 0, 0, 360, colour.tolist(), -1)
    return image.clip(0, 255).astype(np.uint8)


def contract(fit: Fit = "letterbox") -> Contract:
    """Make the contract of the shapes."""
    return Contract(
        classes=CLASSES,
        store_size=SIZE,
        input_size=SIZE,
        fit=fit,
        transparency="black",
        mean=(0.2, 0.19, 0.22),
        std=(0.2, 0.18, 0.2),
        split_hash="shapes",
    )


@cache
def squares(fit: Fit = "letterbox") -> NDArray[np.uint8]:
    """Fit all photos: (COUNT, SIZE, SIZE, 3)."""
    return np.stack([photos.fit(draw(number), SIZE, fit)[0] for number in range(COUNT)])


def rows() -> pd.DataFrame:
    """Make the split table: every fifth photo and its neighbour are test photos, the others train the net."""
    numbers = np.arange(COUNT)
    labels = [CLASSES[number % 3] for number in numbers]
    return pd.DataFrame(
        {
            "photo_id": [f"{number:016x}" for number in numbers],
            "path": [f"{label}/{number}.png" for number, label in zip(numbers, labels, strict=True)],
            "label": labels,
            "slot": numbers,
            "op": "none",
            "copy": 0,
            "group": numbers,
            "split": np.where(numbers % 5 < 2, "test", "train"),
        }
    )


def training_slots() -> NDArray[np.int64]:
    """Give the slots of the training photos."""
    return np.flatnonzero(rows()["split"] == "train")


def training_squares() -> NDArray[np.uint8]:
    """Give the training photos (N, SIZE, SIZE, 3)."""
    return squares()[training_slots()]


def store(folder: Path, fit: Fit = "letterbox") -> PixelStore:
    """Write the squares as a pixel store."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "00000.npy", squares(fit))
    return PixelStore(folder)


@cache
def classifier() -> Classifier:
    """Train the test network until it knows the shapes (a few seconds)."""
    torch.manual_seed(0)
    model = Classifier(zoo.build("tiny", len(CLASSES), weights=None), contract())
    slots = training_slots()
    pixels, labels = torch.from_numpy(training_squares()), torch.from_numpy(slots % 3)
    optimizer = torch.optim.Adam(model.network.parameters(), 0.01)
    with one_thread():
        for _ in range(40):
            loss = torch.nn.functional.cross_entropy(model.network(model.preprocess(pixels)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


def card() -> Card:
    """Describe the trained network as its training would."""
    return Card(
        model="形状",
        arch="tiny",
        options={},
        contract=contract(),
        recipe={},
        seed=0,
        parameters=1,
        epochs=40,
        best_epoch=40,
        val_accuracy=0.9,
        val_macro_f1=0.9,
        val_loss=0.1,
        versions={},
        commit=None,
        hardware="cpu",
    )


@cache
def metadata() -> Metadata:
    """Describe the trained network's files."""
    with TemporaryDirectory() as folder:
        return build.describe(card(), save(Path(folder)) / checkpoint.WEIGHTS)


def save(folder: Path) -> Path:
    """Write the trained network as `train` does."""
    checkpoint.save(folder, classifier().network, card())
    return folder


@cache
def contents() -> dict[str, bytes]:
    """Make the file of every kind."""
    return build.make(classifier(), metadata(), LIMITS, training_squares())
