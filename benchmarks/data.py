"""From raw photos to a split: ours, the article's method, cleanvision and the bare loop, in one run.

    python benchmarks/data.py RAW [--enlarge] [--rounds 3] [--no-cleanvision]

RAW is a folder of class folders, such as `handlens sample --to RAW` makes. Photos from packages are small;
with `--enlarge` the run is on copies as a phone's album has them: each photo enlarged to 0.2 to 1.2
megapixels, with sensor noise, as a JPEG of quality 90.

- bare loop: in as many processes as ours, read, decode with OpenCV, resize, save the squares, no more;
- scan: the stage's own call, from an empty folder: hashes, measures, near-duplicates and tables included;
- ours: scan, filter, augment, balance, stats, split, each table written and read again;
- article: every photo opened for its size, then decoded, flipped and written again as JPEG; mean and std from
  a DataLoader of batch size 1; a random split of the paths; sparing: only classes below the mean are flipped;
- epoch: batches of 64 flipped, normalised squares of 96 px; ours from the store, theirs from ImageFolder with
  Pillow, letterbox and 4 workers.

Scan and bare loop take turns in every round; the ratios are medians over the rounds.
"""

import argparse
import io
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from handlens import augmenting, balancing, filtering, leakage, manifest, normalization, scanning, splitting
from handlens.augmentation import Augment
from handlens.batches import Crops, Rows, TrainingBatches
from handlens.contract import Contract
from handlens.decoding import Settings
from handlens.pixels import PixelStore

SIZE, BATCH, PART = 96, 64, 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CORES = len(os.sched_getaffinity(0))
SETTINGS = Settings(SIZE, "letterbox", "black", 200)


def photos_in(raw: Path) -> list[Path]:
    """List the photos of a folder of class folders."""
    return sorted(path for path in raw.rglob("*") if path.is_file())


def enlarge(job: tuple[int, Path, Path]) -> None:
    """Write a photo as a phone's camera might have: larger, a little noisy, JPEG."""
    number, source, target = job
    random = np.random.default_rng(number)
    photo = cv2.imread(str(source))
    factor = (random.uniform(0.2e6, 1.2e6) / (photo.shape[0] * photo.shape[1])) ** 0.5
    large = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    noisy = (large + random.normal(0, 4, large.shape)).clip(0, 255).astype(np.uint8)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())


def enlarged(raw: Path, folder: Path) -> Path:
    """Enlarge all photos."""
    jobs = [
        (number, path, folder / path.relative_to(raw).with_suffix(".jpg"))
        for number, path in enumerate(photos_in(raw))
    ]
    with ProcessPoolExecutor() as pool:
        list(pool.map(enlarge, jobs, chunksize=PART))
    return folder


def bare_part(job: tuple[list[Path], Path]) -> None:
    """Decode and resize some photos, keep the squares."""
    cv2.setNumThreads(1)
    paths, target = job
    squares = np.zeros((len(paths), SIZE, SIZE, 3), np.uint8)
    for square, path in zip(squares, paths, strict=True):
        photo = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        scale = SIZE / max(photo.shape[:2])
        height, width = (max(1, round(side * scale)) for side in photo.shape[:2])
        top, left = (SIZE - height) // 2, (SIZE - width) // 2
        small = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
        square[top : top + height, left : left + width] = small[..., ::-1]
    np.save(target, squares)


def bare_loop(raw: Path, folder: Path) -> None:
    """Decode and resize all photos in as many processes as there are cores."""
    folder.mkdir()
    paths = photos_in(raw)
    jobs = [(paths[i : i + PART], folder / f"{i}.npy") for i in range(0, len(paths), PART)]
    with ProcessPoolExecutor(CORES) as pool:
        list(pool.map(bare_part, jobs))


def scan(raw: Path, folder: Path) -> pd.DataFrame:
    """Scan as the stage does, from nothing."""
    return scanning.scan(
        raw,
        folder / "scan",
        settings=SETTINGS,
        distance=7,
        difference=1.1,
        unfinished=folder / "unfinished",
        where=scanning.Where(workers=CORES),
        progress=lambda done, count: None,
    )


def kept(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Write a table as its stage does, and read it as the next one does."""
    manifest.write(table, path)
    return manifest.read(path)


def tables(folder: Path) -> pd.DataFrame:
    """Filter, augment, balance, stats and split, from what scan wrote."""
    photos = manifest.read_photos(folder / "scan" / "photos.parquet")
    limits = filtering.Limits(min_side=32, max_ratio=4.0)
    verdict = kept(
        filtering.filter_photos(photos, limits, exact_duplicates="drop", conflicting_labels="drop"),
        folder / "filter.csv",
    )
    smallest = int(verdict["label"].value_counts().mean())
    rows = kept(
        augmenting.augment(verdict, min_count=smallest, ops=["hflip"], seed=1), folder / "augment.csv"
    )
    rows = kept(balancing.balance(rows, method="cap", max_count=800, seed=1), folder / "balance.csv")
    rows = kept(normalization.add_sums(rows, photos), folder / "stats.csv")
    stored = photos[photos["slot"] >= 0].set_index("slot")
    pins = pd.DataFrame({name: pd.Series(dtype=str) for name in splitting.PIN_COLUMNS})
    groups = stored["group"].loc[rows["slot"]]
    sides = splitting.split(rows, groups, pins, val=0.15, test=0.2, folds=None, fold=0, seed=1)
    normalization.mean_std(sides[sides["split"] == "train"])
    leakage.measure(sides, stored["sha256"], PixelStore(folder / "scan" / "pixels"), 1)
    return kept(sides, folder / "split.csv")


def ours(raw: Path, folder: Path) -> None:
    """Do everything from raw photos to the split."""
    scan(raw, folder)
    tables(folder)


def article(raw: Path, folder: Path, sparing: bool = False) -> None:
    """Do what the article does, to a folder of its own."""
    folder.mkdir()
    paths = photos_in(raw)
    sizes = [Image.open(path).size for path in paths]
    assert len(sizes) == len(paths)
    target = folder / "photos"
    shutil.copytree(raw, target, copy_function=os.link)
    counts = pd.Series([path.parent.name for path in paths]).value_counts()
    for path in paths:
        if not sparing or counts[path.parent.name] < counts.mean():
            flipped = Image.open(path).convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            flipped.save(target / path.parent.name / f"{path.stem}-flip.jpg")
    change = transforms.Compose([transforms.Resize((SIZE, SIZE)), transforms.ToTensor()])
    mean, std = torch.zeros(3), torch.zeros(3)
    data = ImageFolder(str(target), change)
    for images, _ in DataLoader(data, batch_size=1):
        for channel in range(3):
            mean[channel] += images[:, channel].mean()
            std[channel] += images[:, channel].std()
    order = np.random.default_rng(1).permutation(len(data))
    (folder / "train.txt").write_text("\n".join(data.samples[i][0] for i in order[: int(0.8 * len(data))]))


def epoch_of_ours(folder: Path) -> Callable[[], int]:
    """Prepare an epoch of flipped, normalised batches from the store."""
    sides = manifest.read(folder / "split.csv")
    classes = tuple(sorted(set(sides["label"])))
    contract = Contract(
        classes=classes,
        store_size=SIZE,
        input_size=SIZE,
        fit="letterbox",
        transparency="black",
        mean=MEAN,
        std=STD,
        split_hash="",
    )
    labels = pd.Index(classes).get_indexer(sides["label"]).astype(np.int64)
    rows = Rows(sides["slot"].to_numpy(), labels, sides["op"].to_numpy(str))
    batches = TrainingBatches(
        PixelStore(folder / "scan" / "pixels"),
        rows,
        Crops(None, (1.0, 1.0), hflip=True, vflip=False),
        seed=0,
        batch_size=BATCH,
        balanced=False,
        parts=1,
        mine=range(1),
        device=torch.device("cpu"),
    )
    augment = Augment(contract, crop_scale=None, color_jitter=None, policy=None, erasing=None)
    return lambda: sum(len(augment(part.pixels, part.crops)) for part in batches.epoch(0))


def letterboxed(photo: Image.Image) -> Image.Image:
    """Fit a photo into the square as Pillow does it."""
    return ImageOps.pad(photo, (SIZE, SIZE), color="black")


def epoch_of_folder(raw: Path) -> Callable[[], int]:
    """Prepare an epoch of flipped, normalised batches from ImageFolder."""
    change = transforms.Compose(
        [
            transforms.Lambda(letterboxed),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    loader = DataLoader(ImageFolder(str(raw), change), BATCH, shuffle=True, num_workers=4)
    return lambda: sum(len(labels) for _, labels in loader)


def cleanvision(raw: Path, folder: Path) -> None:
    """Let cleanvision look for all its issues, near-duplicates among them."""
    import contextlib

    from cleanvision import Imagelab

    folder.mkdir()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        Imagelab(data_path=str(raw), storage_opts={}).find_issues(n_jobs=CORES)


def seconds(what: Callable[[], object]) -> float:
    """Time a call."""
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def folders(root: Path) -> Iterator[Path]:
    """Give new folders."""
    number = 0
    while True:
        number += 1
        yield root / str(number)


def compare(raw: Path, root: Path, rounds: int, with_cleanvision: bool) -> None:
    """Print all comparisons."""
    new = folders(root)
    count = len(photos_in(raw))
    pixels = sum(width * height for width, height in (Image.open(path).size for path in photos_in(raw)))
    print(f"{count} photos, {pixels / count / 1e6:.2f} megapixels on average, {CORES} cores")
    times: dict[str, list[float]] = {}  # of `count` photos

    def measure(name: str, what: Callable[[], object], photos: int = count) -> None:
        took = seconds(what)
        times.setdefault(name, []).append(took * count / photos)
        print(f"{name:12} {took:7.2f} s  {photos / took:8.0f} photos/s", flush=True)

    for _ in range(rounds):
        measure("bare loop", lambda: bare_loop(raw, next(new)))
        folder = next(new)
        measure("scan", lambda folder=folder: scan(raw, folder))
        measure("tables", lambda folder=folder: tables(folder))
    measure("ours", lambda: ours(raw, next(new)))
    measure("article", lambda: article(raw, next(new)))
    measure("sparing", lambda: article(raw, next(new), sparing=True))
    theirs, mine = epoch_of_folder(raw), epoch_of_ours(folder)
    for _ in range(rounds):
        measure("our epoch", mine, mine())
        measure("their epoch", theirs)
    if with_cleanvision:
        measure("cleanvision", lambda: cleanvision(raw, next(new)))

    def ratio(top: str, bottom: str) -> float:
        pairs = zip(times[top], times[bottom], strict=False)
        return statistics.median(a / b for a, b in pairs)

    print(f"scan / bare loop       {ratio('scan', 'bare loop'):6.2f}   (at most 1.3)")
    print(f"article / ours         {ratio('article', 'ours'):6.1f}   (at least 8)")
    print(f"sparing / ours         {ratio('sparing', 'ours'):6.1f}")
    print(f"their epoch / ours     {ratio('their epoch', 'our epoch'):6.1f}   (at least 20)")
    if with_cleanvision:
        print(f"cleanvision / scan     {ratio('cleanvision', 'scan'):6.1f}   (at least 10)")
    print(f"tables after a change  {statistics.median(times['tables']):6.2f} s (at most 5)")


def main() -> None:
    """Compare on the photos of a folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("raw", type=Path)
    parser.add_argument("--enlarge", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cleanvision", action=argparse.BooleanOptionalAction, default=True)
    chosen = parser.parse_args()
    torch.set_num_threads(CORES)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        root = Path(folder)
        raw = enlarged(chosen.raw, root / "enlarged") if chosen.enlarge else chosen.raw
        compare(raw, root, chosen.rounds, chosen.cleanvision)


if __name__ == "__main__":
    main()
