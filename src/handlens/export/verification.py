"""Check a file where it is used: replay its golden vectors, or predict a folder of labelled photos."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handlens import prediction
from handlens.errors import UserError
from handlens.export import golden, parity, runtime
from handlens.export.exported import Exported
from handlens.export.golden import TOLERANCE, Golden
from handlens.export.parity import Parity
from handlens.prediction import Model, Prediction


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A file's answers to its golden vectors."""

    photos: int
    max_difference: float  # of one probability, to what the file gave when it was exported
    tolerance: float
    agreement: float  # top-1, with the trained model

    @property
    def passed(self) -> bool:
        """Tell whether the file still gives what it gave."""
        return self.max_difference <= self.tolerance


def replay(exported: Exported, vectors: Golden) -> Replay:
    """Feed the golden vectors to a file.

    Raises `UserError` when the vectors are not those of this file: other classes, or its kind is not there.
    """
    kind = exported.metadata.kind
    if kind not in vectors.probabilities:
        raise UserError(
            f"the golden vectors know {', '.join(vectors.probabilities)}, not {kind!r}. "
            "Take the file and its golden vectors from one export."
        )
    given = parity.by_name(exported.predict(vectors.pixels), exported.classes, vectors.classes)
    expected, trained = vectors.probabilities[kind], vectors.probabilities["trained"]
    return Replay(
        photos=len(given),
        max_difference=parity.largest_difference(given, expected),
        tolerance=TOLERANCE[kind],
        agreement=float((given.argmax(axis=1) == trained.argmax(axis=1)).mean()),
    )


def labelled(folder: Path, classes: Sequence[str]) -> tuple[list[Path], np.ndarray]:
    """List the photos in the class folders of `folder`, and the class index of each.

    Raises `UserError` when `folder` has no folder with the name of a class, or one with another name.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Name a folder with one folder of photos per class.")
    named = {
        unicodedata.normalize("NFC", path.name): path
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.startswith(".")
    }
    strange = [name for name in named if name not in classes]
    if strange or not named:
        raise UserError(
            f"{folder} has the folders {list(named)}; expected folders named after classes of the model, "
            f"{list(classes)}. Rename or move {strange[0] if strange else 'photos into such folders'}."
        )
    paths = {name: prediction.files_below(path) for name, path in named.items()}
    labels = [list(classes).index(name) for name, files in paths.items() for _ in files]
    return [path for files in paths.values() for path in files], np.array(labels, np.int64)


@dataclass(frozen=True, kw_only=True)
class Verification:
    """A model on labelled photos; `parity` compares it with the reference, or with itself without one."""

    parity: Parity
    recall: dict[str, tuple[int, int]]  # per class: right, photos
    unreadable: tuple[Prediction, ...]


def verify(model: Model, reference: Model | None, paths: Sequence[Path], labels: np.ndarray) -> Verification:
    """Predict labelled photos, once by `model` and once by `reference`.

    Photos that cannot be read are listed and left out. Raises `UserError` when none can be read, or when
    the two models do not take the same squares or know other classes.
    """
    found = list(prediction.predict(model, paths))
    read = np.array([one.probabilities is not None for one in found])
    unreadable = tuple(one for one in found if one.probabilities is None)
    if not read.any():
        raise UserError(f"none of the {len(found)} photos can be read; {found[0].path}: {found[0].problem}")
    given = np.stack([one.probabilities for one in found if one.probabilities is not None])
    truth = labels[read]
    trained = given if reference is None else answers(reference, model, paths, read)
    right = given.argmax(axis=1) == truth
    recall = {
        name: (int(right[truth == index].sum()), int((truth == index).sum()))
        for index, name in enumerate(model.contract.classes)
    }
    return Verification(parity=parity.compare(trained, given, truth), recall=recall, unreadable=unreadable)


def answers(reference: Model, model: Model, paths: Sequence[Path], read: np.ndarray) -> parity.Probabilities:
    """Predict the readable photos by the reference, columns in the order of the model's classes."""
    chosen = [path for path, good in zip(paths, read, strict=True) if good]
    given = [one.probabilities for one in prediction.predict(reference, chosen)]
    stacked = np.stack([row for row in given if row is not None])
    return parity.by_name(stacked, reference.contract.classes, model.contract.classes)


def golden_lines(file: Path) -> tuple[bool, list[str]]:
    """Replay the golden vectors that lie beside `file`; say what came out and whether it passed."""
    found = replay(runtime.open_file(file), golden.read(file.parent))
    verdict = "passed" if found.passed else "FAILED"
    return found.passed, [
        f"{found.photos} golden photos: a probability differs by {found.max_difference:.2g} at most, "
        f"allowed are {found.tolerance:g}: {verdict}",
        f"same class as the trained model: {found.agreement:.1%}",
    ]


def folder_lines(
    file: Path, folder: Path, against: Path | None, min_agreement: float
) -> tuple[bool, list[str]]:
    """Measure `file` on labelled photos; say what came out and whether it agrees with `against` enough."""
    model = prediction.load(file)
    other = None if against is None else prediction.load(against)
    found = verify(model, other, *labelled(folder, model.contract.classes))
    seen = found.parity
    lines = [f"{prediction.printable(one.path)}: {one.problem}" for one in found.unreadable]
    lines += [f"  {name}: {right} of {count} right" for name, (right, count) in found.recall.items()]
    lines.append(
        f"{seen.photos} photos, accuracy {seen.accuracy:.4f} "
        f"(95 % interval {seen.accuracy_low:.4f} to {seen.accuracy_high:.4f})"
    )
    if other is not None:
        lines.append(
            f"agreement with {against}: {seen.agreement:.4f} (wanted: {min_agreement:g}); a probability "
            f"differs by {seen.max_difference:.2g} at most, by {seen.mean_difference:.2g} on average"
        )
    return seen.agreement >= min_agreement and not found.unreadable, lines
