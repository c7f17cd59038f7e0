"""What exported files are held against: the trained model's probabilities of all photos of a side."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from handlens.errors import UserError
from handlens.export.parity import Probabilities
from handlens.pixels import Pixels, PixelStore, chunks
from handlens.preprocessing import Classifier

BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Reference:
    """All photos of a side: where they lie, their class indices, the trained model's probabilities."""

    photos: pd.DataFrame
    slots: NDArray[np.int64]
    labels: NDArray[np.int64]
    trained: Probabilities


def photos_of(rows: pd.DataFrame, side: str) -> pd.DataFrame:
    """Give each photo of one side once, without flips, in the order of photo_id."""
    chosen = rows[(rows["split"] == side) & (rows["op"] == "none")]
    return chosen.drop_duplicates("photo_id").sort_values("photo_id", ignore_index=True)


def in_turn(labels: pd.Series, count: int) -> NDArray[np.int64]:
    """Choose up to `count` positions, the classes in turn, each class in the order given.

    Rows ordered by photo_id, a hash of the path, make this a draw that stays when photos are added.
    """
    turn = labels.groupby(labels.to_numpy()).cumcount().to_numpy()
    order = np.lexsort((labels.to_numpy(str), turn))
    return np.sort(order[:count])


def training_pixels(rows: pd.DataFrame, store: PixelStore, count: int) -> Pixels:
    """Take up to `count` training photos, the classes in turn: (count, store, store, 3)."""
    photos = photos_of(rows, "train")
    return store.take(photos["slot"].to_numpy(np.int64)[in_turn(photos["label"], count)])


def predict(
    model: Callable[[Pixels], Probabilities], store: PixelStore, slots: NDArray[np.int64]
) -> Probabilities:
    """Predict the photos in `slots`, batch by batch."""
    return np.concatenate([model(batch) for _, batch in chunks(store, slots, BATCH)])


def eager(classifier: Classifier) -> Callable[[Pixels], Probabilities]:
    """Make a prediction function of a PyTorch classifier in eval mode."""

    @torch.inference_mode()
    def run(batch: Pixels) -> Probabilities:
        return np.asarray(classifier(torch.from_numpy(batch)).numpy(), np.float32)

    return run


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def reference(
    classifier: Classifier, classes: Sequence[str], rows: pd.DataFrame, store: PixelStore, side: str = "test"
) -> Reference:
    """Predict all photos of a side with the trained model; no photo at all is a `UserError`."""
    photos = photos_of(rows, side)
    if photos.empty:
        raise UserError(f"no photo is on the {side} side of the split. Raise split.{side} in params.yaml.")
    slots = photos["slot"].to_numpy(np.int64)
    index = {name: number for number, name in enumerate(classes)}
    return Reference(
        photos=photos,
        slots=slots,
        labels=np.array([index[label] for label in photos["label"]], np.int64),
        trained=predict(eager(classifier), store, slots),
    )
