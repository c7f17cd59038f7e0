import numpy as np
import pandas as pd
import pytest
import textures
import torch
from torch import nn

from handlens import evaluation, figures, robustness, scoring
from handlens.pixels import PixelStore

CALM = np.full((32, 32, 3), 120, np.uint8)


@pytest.fixture
def store(tmp_path):
    """36 textures, all of the test side."""
    np.save(tmp_path / "00000.npy", textures.squares(np.arange(36) % 3, 32))
    return PixelStore(tmp_path)


@pytest.fixture
def rows():
    return textures.split_table(0, 0, 36)


class Stripes(nn.Module):
    """Tell textures apart by how much they change across and down; no weights."""

    def forward(self, pixels):
        grey = pixels.float().mean(3)
        across = (grey[:, :, 2:] - grey[:, :, :-2]).abs().mean((1, 2))
        down = (grey[:, 2:] - grey[:, :-2]).abs().mean((1, 2))
        return torch.softmax(torch.stack([down - across, torch.full_like(down, 8.0), across - down], 1), 1)


def side_of(store, rows):
    predictions = evaluation.predict(Stripes(), store, rows, textures.CLASSES)
    return evaluation.side(predictions, "test", textures.CLASSES)


def measured(store, rows, photos=200):
    return robustness.measure(
        Stripes(), store, side_of(store, rows), rows, photos=photos, resamples=100, seed=3
    )


def test_every_way_has_three_strengths_and_the_same_bytes_each_time(store, rows):
    table = measured(store, rows)
    assert list(table["corruption"][:1]) == ["none"]
    counts = table["corruption"].value_counts().to_dict()
    assert counts == {"none": 1, **dict.fromkeys(robustness.CORRUPTIONS, 3)}
    assert list(table["strength"]) == [0, *[1, 2, 3] * len(robustness.CORRUPTIONS)]
    assert (table["accuracy_low"] <= table["accuracy"]).all()
    pd.testing.assert_frame_equal(table, measured(store, rows))


def test_the_first_row_is_the_accuracy_of_the_photos_as_they_are(store, rows):
    test = side_of(store, rows)
    table = measured(store, rows)
    assert table["accuracy"].iloc[0] == scoring.main_scores(test.truth, test.predicted)["accuracy"]
    assert (table["photos"] == 36).all()


def test_spoiled_photos_cost_accuracy(store, rows):
    table = measured(store, rows).set_index(["corruption", "strength"])["accuracy"]
    assert table["rotation", 3] < table["none", 0]
    assert table["darker", 3] < table["none", 0]


def test_a_large_test_side_is_sampled_the_same_for_every_model(store, rows):
    table = measured(store, rows, photos=12)
    assert (table["photos"] == 12).all()
    chosen = robustness.sample(36, 12, 3)
    assert len(set(chosen)) == 12
    assert list(chosen) == sorted(chosen)
    test = side_of(store, rows)
    right = (test.truth == test.predicted)[chosen].mean()
    assert table["accuracy"].iloc[0] == pytest.approx(right)


@pytest.mark.parametrize("name", [name for name in robustness.CORRUPTIONS if name != "rotation"])
def test_stronger_means_further_from_the_photo(name):
    spoil, _, settings = robustness.CORRUPTIONS[name]
    square = textures.squares(np.zeros(1, int), 64)[0]
    away = [np.abs(spoil(square, s, np.random.default_rng(0)).astype(int) - square).mean() for s in settings]
    assert away == sorted(away)
    assert away[0] > 0.5


def test_noise_light_and_rotation_are_what_they_say():
    random = np.random.default_rng(0)
    assert robustness.noise(CALM, 16, random).std() == pytest.approx(16, rel=0.05)
    assert (robustness.light(CALM, 0.5, random) == 60).all()
    assert (robustness.light(CALM, 3, random) == 255).all()
    assert (robustness.rotation(CALM, 45, random) == 120).all()  # no black corners
    square = textures.squares(np.zeros(1, int), 64)[0]
    assert (robustness.rotation(square, 0, random) == square).all()


def test_the_picture_is_drawn_even_of_a_hopeless_model(store, rows, tmp_path):
    table = measured(store, rows).assign(accuracy=0.0)
    figures.robustness(table, tmp_path / "r.png", title="模型")
    assert (tmp_path / "r.png").stat().st_size > 5000
