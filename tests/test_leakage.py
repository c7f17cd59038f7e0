import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_sample_images

from handlens import leakage
from handlens.pixels import PixelStore


@pytest.fixture
def squares() -> np.ndarray:
    """Forty crops of two real photos, as stored squares of 96 px."""
    random = np.random.default_rng(0)
    crops = []
    for photo in load_sample_images().images:
        for _ in range(20):
            y, x = random.integers(0, 250), random.integers(0, 400)
            crops.append(cv2.resize(photo[y : y + 170, x : x + 170], (96, 96), interpolation=cv2.INTER_AREA))
    return np.stack(crops)


def measure(squares: np.ndarray, folder, sides: list[str], sha256: list[str] | None = None) -> dict[str, int]:
    np.save(folder / "00000.npy", squares)
    table = pd.DataFrame({"slot": range(len(squares)), "split": sides})
    contents = pd.Series(sha256 or [str(i) for i in range(len(squares))])
    return leakage.measure(table, contents, PixelStore(folder), seed=0)


SIDES = ["train"] * 25 + ["val"] * 7 + ["test"] * 8


def test_different_photos_do_not_leak_and_every_pair_is_counted(squares, tmp_path):
    found = measure(squares, tmp_path, SIDES)
    assert found == {"leakage": 0, "checked_photos": 15, "checked_pairs": 4 * (7 * 33 + 8 * 32)}


@pytest.mark.parametrize("turn", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
@pytest.mark.parametrize("place", [30, 39])
def test_a_recompressed_and_flipped_copy_on_another_side_is_found(squares, tmp_path, turn, place):
    _, jpeg = cv2.imencode(".jpg", squares[3], [cv2.IMWRITE_JPEG_QUALITY, 75])
    copy = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    squares[place] = copy[:: turn[0], :: turn[1]]
    assert measure(squares, tmp_path, SIDES)["leakage"] == 1


def test_a_copy_on_the_same_side_is_no_leak(squares, tmp_path):
    squares[4] = squares[3]
    squares[26] = squares[27]
    assert measure(squares, tmp_path, SIDES)["leakage"] == 0


def test_val_and_test_must_not_share_photos_either(squares, tmp_path):
    squares[39] = squares[26]
    assert measure(squares, tmp_path, SIDES)["leakage"] == 2


def test_equal_files_leak_whatever_their_pixels(squares, tmp_path):
    contents = [str(i) for i in range(40)]
    contents[39] = contents[0]
    assert measure(squares, tmp_path, SIDES, contents)["leakage"] == 1


def test_flips_of_train_rows_are_one_photo(squares, tmp_path):
    np.save(tmp_path / "00000.npy", squares)
    table = pd.DataFrame({"slot": [0, 0, 1, 2], "split": ["train", "train", "val", "test"]})
    found = leakage.measure(table, pd.Series(["a", "b", "c"]), PixelStore(tmp_path), seed=0)
    assert found == {"leakage": 0, "checked_photos": 2, "checked_pairs": 16}
