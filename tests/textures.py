"""A small learnable data set without photos: stripes across, stripes down and checks, at random phases."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from handlens import assembly, params
from handlens.contract import Contract, split_hash
from handlens.distillation import Teacher
from handlens.distributed import Processes, choose_device
from handlens.pixels import PixelStore
from handlens.training import Trainer

ROOT = Path(__file__).parent.parent
torch.set_num_threads(1)  # networks this small are slower on more
CLASSES = ("across 横", "checks 格", "down 竖")
ONE = Processes(0, 1, choose_device("cpu", 0))


def squares(labels: np.ndarray, size: int, seed: int = 0) -> np.ndarray:
    """Draw uint8 (N, size, size, 3) textures of the class indices `labels`, noisy and coloured."""
    random = np.random.default_rng(seed)
    waves = np.sign(np.sin((np.arange(size) + random.uniform(0, 9, (len(labels), 1))) * 0.7))
    down = np.broadcast_to(waves[:, None, :], (len(labels), size, size))
    across = np.broadcast_to(waves[:, :, None], down.shape)
    grey = np.select([labels[:, None, None] == 0, labels[:, None, None] == 1], [across, across * down], down)
    colour = random.uniform(20, 60, (len(labels), 1, 1, 3))
    noisy = 127 + grey[..., None] * colour + random.normal(0, 25, (*grey.shape, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def split_table(train: int = 48, val: int = 24, test: int = 6) -> pd.DataFrame:
    """Make split rows: `train` photos and a flip of every fourth of them, `val` and `test` photos."""
    count = train + val + test
    labels = [CLASSES[number % 3] for number in range(count)]
    rows = pd.DataFrame(
        {
            "photo_id": [f"{number:016x}" for number in range(count)],
            "path": [f"{label}/{number}.jpg" for number, label in enumerate(labels)],
            "label": labels,
            "slot": np.arange(count),
            "op": "none",
            "copy": 0,
            "group": np.arange(count),
            "split": ["train"] * train + ["val"] * val + ["test"] * test,
        }
    )
    flips = rows[rows["split"] == "train"].iloc[::4].assign(op="hflip")
    return pd.concat([rows, flips], ignore_index=True)


def contract_of(table: pd.DataFrame, store_size: int = 32, input_size: int = 32) -> Contract:
    """Make a contract for the textures."""
    return Contract(
        classes=CLASSES,
        store_size=store_size,
        input_size=input_size,
        fit="letterbox",
        transparency="black",
        mean=(0.5, 0.5, 0.5),
        std=(0.2, 0.21, 0.22),
        split_hash=split_hash(table),
    )


def write_store(folder: Path, table: pd.DataFrame, size: int = 32) -> PixelStore:
    """Write pixels for every slot except those of test rows, which must never be read."""
    looked_at = table[table["split"] != "test"]
    labels = np.arange(looked_at["slot"].max() + 1) % 3
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "00000.npy", squares(labels, size))
    return PixelStore(folder)


def recipe_of(**changes: Any) -> Any:
    """Take the project's `train:` for the tiny network, short, with `changes`."""
    data = params.read_yaml(ROOT / "params.yaml")
    data["recipes"]["tiny"] = {"epochs": 2, "batch_size": 8, "lr": 0.003, **changes}
    return params.validate(data, "params.yaml").recipe("tiny")


def trainer_of(
    folder: Path,
    processes: Processes = ONE,
    *,
    seed: int = 3,
    compiled: bool = False,
    teacher: Teacher | None = None,
    **changes: Any,
) -> Trainer:
    """Assemble a training on textures; `changes` go into the recipe."""
    table = split_table()
    return assembly.trainer(
        recipe_of(**changes),
        table,
        contract_of(table),
        write_store(folder, table),
        seed=seed,
        processes=processes,
        compiled=compiled,
        teacher=teacher,
    )
