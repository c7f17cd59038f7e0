import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlens.errors import UserError
from handlens.normalization import add_sums, mean_std


def sums_of(photos: list[np.ndarray]) -> pd.DataFrame:
    wide = [photo.astype(np.int64) for photo in photos]
    table: dict[str, list[int]] = {"pixels": [p.shape[0] * p.shape[1] for p in wide]}
    for i, c in enumerate("rgb"):
        table[f"sum_{c}"] = [int(p[..., i].sum()) for p in wide]
        table[f"squares_{c}"] = [int((p[..., i] ** 2).sum()) for p in wide]
    return pd.DataFrame(table)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=8))
def test_statistics_of_a_union_follow_from_the_sums(seeds):
    photos = []
    for seed in seeds:
        random = np.random.default_rng(seed)
        height, width = random.integers(2, 9, size=2)
        photos.append(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
    mean, std = mean_std(sums_of(photos))
    pixels = np.concatenate([p.reshape(-1, 3) for p in photos]) / 255
    np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std(axis=0), rtol=1e-12)


def test_sums_stay_exact_beyond_64_bits():
    photo = np.full((1000, 1000, 3), 250, np.uint8)
    photo[0, 0] = 251
    many = pd.concat([sums_of([photo])] * 400, ignore_index=True)
    _, std = mean_std(many)
    np.testing.assert_allclose(std, photo.reshape(-1, 3).astype(float).std(axis=0) / 255, rtol=1e-9)


def test_constant_photos_are_refused():
    with pytest.raises(UserError, match="one and the same colour"):
        mean_std(sums_of([np.full((4, 4, 3), 7, np.uint8)]))


def test_sums_are_joined_by_slot_not_by_position():
    photos = sums_of([np.full((1, 1, 3), v, np.uint8) for v in (10, 20, 30)]).drop(columns="pixels")
    photos = photos.assign(slot=[2, -1, 0], content_width=2, content_height=3)
    rows = add_sums(pd.DataFrame({"slot": [0, 2, 0]}), photos)
    assert list(rows["sum_r"]) == [30, 10, 30]
    assert list(rows["pixels"]) == [6, 6, 6]
