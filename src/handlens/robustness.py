"""Accuracy on spoiled photos: blur, noise, JPEG, light and rotation, each at three strengths.

After Hendrycks and Dietterich 2019, "Benchmarking neural network robustness to common corruptions", with
strengths that a phone in a hand reaches. Stored squares are spoiled, so no photo is opened again.
"""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pandas as pd
import simplejpeg
from numpy.typing import NDArray
from torch import nn

from handlens import evaluation, scoring
from handlens.pixels import PixelStore

Square = NDArray[np.uint8]  # (S, S, 3) RGB, or a batch of them
Ints = NDArray[np.int64]

NONE = "none"  # the photos as they are
BATCH = 64  # photos
SCORES = ["accuracy", "accuracy_low", "accuracy_high"]


def blur(square: Square, share: float, _: np.random.Generator) -> Square:
    """Blur with a Gaussian whose sigma is `share` of the side."""
    return np.asarray(cv2.GaussianBlur(square, (0, 0), share * square.shape[0]), np.uint8)


def noise(square: Square, deviation: float, random: np.random.Generator) -> Square:
    """Add Gaussian noise of `deviation` grey values to every channel."""
    noisy = square + random.normal(0, deviation, square.shape).astype(np.float32)
    return noisy.round().clip(0, 255).astype(np.uint8)


def jpeg(square: Square, quality: float, _: np.random.Generator) -> Square:
    """Save as JPEG of `quality` with halved colour resolution, and open again."""
    file = simplejpeg.encode_jpeg(square, quality=int(quality), colorsubsampling="420")
    return np.asarray(simplejpeg.decode_jpeg(file), np.uint8)


def light(square: Square, factor: float, _: np.random.Generator) -> Square:
    """Multiply all grey values by `factor`; what becomes too bright is white."""
    return (square * np.float32(factor)).round().clip(0, 255).astype(np.uint8)


def rotation(square: Square, degrees: float, random: np.random.Generator) -> Square:
    """Turn by `degrees` to the left or to the right; the corners are filled with a mirror image."""
    side = square.shape[0]
    middle = (side - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), float(random.choice([-degrees, degrees])), 1.0)
    turned = cv2.warpAffine(square, turn, (side, side), borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(turned, np.uint8)


Spoil = Callable[[Square, float, np.random.Generator], Square]
Change = Callable[[Square], Square]

# name: how, what is said of a strength, three strengths
CORRUPTIONS: dict[str, tuple[Spoil, str, tuple[float, float, float]]] = {
    "blur": (blur, "sigma {:.1%} of the side", (0.01, 0.02, 0.04)),
    "noise": (noise, "deviation {:g}", (8, 16, 32)),
    "jpeg": (jpeg, "quality {:g}", (40, 20, 10)),
    "darker": (light, "light × {:g}", (0.7, 0.5, 0.3)),
    "brighter": (light, "light × {:g}", (1.3, 1.6, 2.0)),
    "rotation": (rotation, "{:g}°", (10, 20, 45)),
}


def measure(
    classifier: nn.Module,
    store: PixelStore,
    test: evaluation.Side,
    rows: pd.DataFrame,
    *,
    photos: int,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Predict at most `photos` of the test photos, spoiled in every way; a row per way and strength.

    Columns: corruption, strength (0 to 3), setting, accuracy with its 95 % interval, and photos. The first
    row is of the same photos as they are. `rows` is the split table, which knows each photo's slot.
    """
    chosen = sample(len(test.truth), photos, seed)
    by_photo = rows.drop_duplicates("photo_id").set_index("photo_id")["slot"]
    slots = by_photo.loc[test.rows["photo_id"].iloc[chosen]].to_numpy(np.int64)
    truth, group, classes = test.truth[chosen], test.group[chosen], test.probabilities.shape[1]
    found = []
    for name, strength, setting, change in ways(seed):
        spoiled = evaluation.probabilities(classifier, store, slots, BATCH, change=change)
        scores, _ = scoring.with_intervals(
            truth, spoiled.argmax(axis=1), group, classes=classes, resamples=resamples, seed=seed
        )
        ends = [scores[key] for key in SCORES]
        found.append((name, strength, setting, *ends, len(chosen)))
    return pd.DataFrame(found, columns=["corruption", "strength", "setting", *SCORES, "photos"])


def sample(count: int, most: int, seed: int) -> Ints:
    """Choose at most `most` of `count` places, in order, the same for every model."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def ways(seed: int) -> Iterator[tuple[str, int, str, Change]]:
    """List the ways to spoil photos: name, strength, words for it, and what does it to (N, S, S, 3)."""
    yield NONE, 0, "as they are", lambda squares: squares
    for name, (spoil, words, settings) in CORRUPTIONS.items():
        for strength, setting in enumerate(settings, start=1):
            yield name, strength, words.format(setting), spoiler(spoil, setting, seed + strength)


def spoiler(spoil: Spoil, setting: float, seed: int) -> Change:
    """Give what spoils one batch after the other; the same photos in that order are spoiled alike."""
    random = np.random.default_rng(seed)
    return lambda squares: np.stack([spoil(square, setting, random) for square in squares])
