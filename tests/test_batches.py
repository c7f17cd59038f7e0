import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from textures import CLASSES, split_table, write_store

from handlens import batches
from handlens.batches import Crops, Part, TrainingBatches
from handlens.errors import UserError
from handlens.pixels import PixelStore, turn

CPU = torch.device("cpu")
PLAIN = Crops(None, (1.0, 1.0), hflip=False, vflip=False)
WILD = Crops((0.3, 1.0), (0.75, 1.33), hflip=True, vflip=True)


def training_batches(
    folder: Path, *, parts: int = 1, mine: range = range(1), crops: Crops = WILD, batch_size: int = 8
) -> TrainingBatches:
    table = split_table()
    return TrainingBatches(
        write_store(folder, table),
        batches.rows_of(table, "train", CLASSES),
        crops,
        seed=1,
        batch_size=batch_size,
        balanced=False,
        parts=parts,
        mine=mine,
        device=CPU,
    )


def contents(parts: list[Part]) -> list[bytes]:
    return sorted(
        row.numpy().tobytes() + crop.numpy().tobytes()
        for part in parts
        for row, crop in zip(part.pixels, part.crops, strict=True)
    )


def test_an_epoch_has_every_row_once_in_steps_of_equal_size(tmp_path: Path) -> None:
    data = training_batches(tmp_path, crops=PLAIN)
    parts = list(data.epoch(0))
    assert len(parts) == data.steps == 8
    sizes = [len(part.labels) for part in parts]
    assert sum(sizes) == len(data.rows) == 60
    assert max(sizes) - min(sizes) <= 1
    every = [row.tobytes() for row in data.store.take(data.rows.slots)]
    assert sorted(row.numpy().tobytes() for part in parts for row in part.pixels) == sorted(every)


@pytest.mark.parametrize("photos", [2, 3, 31, 32, 33, 65, 1000])
@pytest.mark.parametrize("batch_size", [2, 32])
def test_no_step_holds_a_single_photo(photos: int, batch_size: int) -> None:
    steps = batches.step_count(photos, batch_size)
    sizes = [len(part) for part in np.array_split(np.arange(photos), steps)]
    assert min(sizes) >= 2
    assert max(sizes) <= max(batch_size, 3)


def test_epochs_differ_and_the_same_epoch_repeats(tmp_path: Path) -> None:
    data = training_batches(tmp_path)
    first, again, next_ = (list(data.epoch(number)) for number in (0, 0, 1))
    assert [part.seed for part in first] == [part.seed for part in again]
    assert contents(first) == contents(again) != contents(next_)


def test_an_epoch_can_begin_at_any_step(tmp_path: Path) -> None:
    data = training_batches(tmp_path)
    assert contents(list(data.epoch(3))[5:]) == contents(list(data.epoch(3, first_step=5)))


def test_processes_share_every_step_without_loss_or_repetition(tmp_path: Path) -> None:
    whole = list(training_batches(tmp_path).epoch(0))
    shared = [list(training_batches(tmp_path, parts=3, mine=range(i, i + 1)).epoch(0)) for i in range(3)]
    for step, part in enumerate(whole):
        pieces = [one[step] for one in shared]
        assert contents(pieces) == contents([part])
        assert sum(piece.share for piece in pieces) == pytest.approx(1)


def test_accumulation_gives_a_process_its_parts_one_after_the_other(tmp_path: Path) -> None:
    both = list(training_batches(tmp_path, parts=2, mine=range(2)).epoch(0))
    second = list(training_batches(tmp_path, parts=2, mine=range(1, 2)).epoch(0))
    assert [part.seed for part in both[1::2]] == [part.seed for part in second]


def test_steps_too_small_to_share_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"batch_size 8.*4 parts.*Raise batch_size"):
        training_batches(tmp_path, parts=4)


def test_balanced_order_draws_rare_classes_as_often_as_common_ones() -> None:
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    drawn = labels[batches.epoch_order(labels, seed=0, epoch=0, balanced=True)]
    assert len(drawn) == 1000
    assert np.bincount(drawn).min() > 280


def test_crops_stay_inside_the_photo_and_keep_their_area() -> None:
    crops = batches.draw_crops(np.random.default_rng(0), 5000, Crops((0.3, 0.6), (0.8, 1.25), True, False))
    x, y, width, height = crops.T
    assert (np.abs(x) + np.abs(width) <= 1 + 1e-6).all()
    assert (np.abs(y) + np.abs(height) <= 1 + 1e-6).all()
    area = np.abs(width * height)
    assert area.min() > 0.299
    assert area.max() < 0.601
    assert np.mean(area) == pytest.approx(0.45, abs=0.01)
    assert np.mean(width < 0) == pytest.approx(0.5, abs=0.03)
    assert (height > 0).all()


def test_without_a_crop_the_whole_photo_is_taken() -> None:
    crops = batches.draw_crops(np.random.default_rng(0), 3, PLAIN)
    np.testing.assert_array_equal(crops, [[0, 0, 1, 1]] * 3)


def test_validation_batches_are_plain_turned_and_in_order(tmp_path: Path) -> None:
    table = split_table()
    store, rows = write_store(tmp_path, table), batches.rows_of(table, "train", CLASSES)
    got = list(batches.plain_batches(store, rows, 7, CPU))
    pixels = torch.cat([pixels for _, pixels in got]).numpy()
    np.testing.assert_array_equal(pixels, turn(store.take(rows.slots), rows.ops))
    assert [which.start for which, _ in got] == list(range(0, 60, 7))


def test_rows_of_an_empty_side_and_of_an_unknown_class_are_refused() -> None:
    table = split_table()
    with pytest.raises(UserError, match="no val photos"):
        batches.rows_of(table[table["split"] != "val"], "val", CLASSES)
    with pytest.raises(UserError, match="'down 竖' that is not in the contract"):
        batches.rows_of(table, "train", CLASSES[:2])


def test_reading_ahead_keeps_the_order_and_passes_errors_on() -> None:
    here = threading.get_ident()
    assert list(batches.ahead(lambda job: (job, threading.get_ident() != here), range(20))) == [
        (job, True) for job in range(20)
    ]
    with pytest.raises(ZeroDivisionError):
        list(batches.ahead(lambda job: 1 // (3 - job), range(9)))


def anonymous_bytes() -> int:
    """Memory of this process that is its own, not pages of files."""
    text = Path("/proc/self/smaps_rollup").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Anonymous:"))


def test_an_epoch_holds_a_few_batches_however_many_photos_there_are(tmp_path: Path) -> None:
    photos, size = 3000, 64
    np.lib.format.open_memmap(tmp_path / "00000.npy", "w+", np.uint8, (photos, size, size, 3)).flush()
    store = PixelStore(tmp_path)
    rows = batches.Rows(np.arange(photos), np.arange(photos) % 3, np.array(["none"] * photos))
    data = TrainingBatches(store, rows, WILD, 0, 8, False, 1, range(1), CPU)
    epoch = data.epoch(0)
    next(epoch)
    before = anonymous_bytes()
    seen = sum(len(part.labels) for part in epoch)
    assert seen == photos - 8
    assert anonymous_bytes() - before < photos * size * size * 3 / 4
