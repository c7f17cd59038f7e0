"""Photos to look at, Grad-CAM, and planted label errors in real photos."""

import numpy as np
import pandas as pd
import pytest
import textures
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import nn

from handlens import evaluation, figures, gradcam, inspection, labels, manifest, zoo
from handlens.errors import UserError
from handlens.pixels import PixelStore
from handlens.preprocessing import Classifier

NAMES = textures.CLASSES


def predictions_of(probabilities, truth, classes, split="test"):
    names = np.array(classes, dtype=object)
    table = pd.DataFrame(
        {
            "photo_id": [f"{i:016x}" for i in range(len(truth))],
            "path": [f"{names[t]}/{i}.png" for i, t in enumerate(truth)],
            "split": split,
            "group": np.arange(len(truth)),
            "truth": names[truth],
            "prediction": names[probabilities.argmax(axis=1)],
        }
    )
    return pd.concat([table, pd.DataFrame(probabilities, columns=list(classes))], axis=1)


@pytest.fixture
def store(tmp_path):
    (tmp_path / "pixels").mkdir()
    np.save(tmp_path / "pixels" / "00000.npy", textures.squares(np.arange(30) % 3, 32))
    return PixelStore(tmp_path / "pixels")


def classifier(network):
    return Classifier(network.eval(), textures.contract_of(textures.split_table()))


# --- which photos ---

PROBABILITIES = np.array(
    [
        [0.90, 0.05, 0.05],  # right
        [0.10, 0.80, 0.10],  # wrong, sure
        [0.34, 0.33, 0.33],  # right, least certain
        [0.20, 0.45, 0.35],  # wrong
        [0.36, 0.30, 0.34],  # right
    ]
)
TRUTH = np.array([0, 0, 0, 2, 0])


def chosen(store, most=2):
    test = evaluation.side(predictions_of(PROBABILITIES, TRUTH, NAMES), "test", NAMES)
    split = test.rows[["photo_id"]].assign(slot=[7, 3, 9, 1, 4])
    return inspection.choose(test, split, NAMES, most), test


def test_the_worst_mistakes_and_the_least_certain_photos_are_chosen(store):
    table, _ = chosen(store)
    assert list(table.columns) == inspection.COLUMNS
    assert list(table["why"]) == ["mistake", "mistake", "uncertain", "uncertain"]
    assert list(table["slot"]) == [3, 1, 9, 4]
    # the rival is the truth of a mistake, else the next likely class
    assert list(table["rival"]) == [NAMES[0], NAMES[2], NAMES[1], NAMES[2]]
    assert table["rival_probability"].tolist() == pytest.approx([0.1, 0.35, 0.33, 0.34])
    assert table["prediction_probability"].tolist() == pytest.approx([0.8, 0.45, 0.34, 0.36])


def test_inspection_is_read_as_it_was_written_and_drawn(store, tmp_path):
    table, test = chosen(store)
    heats = inspection.heat(classifier(zoo.build("tiny", 3)), store, table, NAMES)
    inspection.save(tmp_path / "i", table, heats)
    again, heats_again = inspection.load(tmp_path / "i")
    pd.testing.assert_frame_equal(again, table, check_dtype=False)
    assert (heats_again == heats).all()
    assert (tmp_path / "i" / "photos.csv").read_bytes().startswith(manifest.BOM)
    inspection.draw(table, heats, store, test, "m", tmp_path)
    for name in ("mistakes", "least_certain"):
        with Image.open(tmp_path / f"{name}.png") as sheet:
            assert sheet.width > 500


@pytest.mark.parametrize("damage", ["missing", "cut off", "of other photos"])
def test_damaged_heat_is_told(store, tmp_path, damage):
    table, _ = chosen(store)
    inspection.save(tmp_path, table, np.zeros((len(table), 3, 3), np.uint8))
    file = tmp_path / "heat.npy"
    if damage == "missing":
        file.unlink()
    elif damage == "cut off":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        np.save(file, np.zeros((1, 3, 3), np.uint8))
    with pytest.raises(UserError, match=r"heat\.npy.*dvc repro"):
        inspection.load(tmp_path)


# --- Grad-CAM ---


def test_heat_before_pooling_and_one_linear_layer_is_the_class_activation_map():
    """There Grad-CAM equals CAM (Zhou et al. 2016), which needs no gradient."""
    torch.manual_seed(0)
    network = zoo.build("resnet18", 3).eval()
    whole = Classifier(network, textures.contract_of(textures.split_table(), 96, 96))
    squares = textures.squares(np.arange(10) % 3, 96)
    asked = np.arange(10) % 3
    with torch.no_grad():
        maps = whole.preprocess(torch.from_numpy(squares))
        for part in list(network.children())[:-2]:
            maps = part(maps)
        wanted = F.relu(torch.einsum("nchw,nc->nhw", maps, network.fc.weight[asked]))
        wanted = wanted / wanted.amax((1, 2), keepdim=True).clamp_min(1e-30)
    assert gradcam.heat(whole, squares, asked) == pytest.approx(wanted.numpy(), abs=1e-5)


def test_heat_lies_on_what_speaks_for_the_class():
    class Reds(nn.Module):
        """Class 1: how much more red than blue there is."""

        def __init__(self):
            super().__init__()
            self.colour = nn.Conv2d(3, 1, 4, stride=4, bias=False)
            self.colour.weight.data[:] = torch.tensor([1.0, 0, -1]).view(1, 3, 1, 1)
            self.relu = nn.ReLU()

        def forward(self, x):
            red = self.relu(self.colour(x)).mean((1, 2, 3))
            return torch.stack([-red, red], dim=1)

    square = np.full((1, 32, 32, 3), 128, np.uint8)
    square[0, 4:12, 20:28] = (250, 30, 10)
    heat = gradcam.heat(classifier(Reds()), square, np.array([1]))[0]
    assert heat.shape == (8, 8)
    assert (heat[1:3, 5:7] > 0.9).all()
    heat[1:3, 5:7] = 0
    assert heat.max() < 0.1
    assert gradcam.heat(classifier(Reds()), square, np.array([0])).max() == 0


def test_a_network_without_places_is_told_plainly(store, tmp_path, monkeypatch):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 3))
    table, test = chosen(store)
    heats = inspection.heat(classifier(flat), store, table, NAMES)
    assert heats.shape == (4, 0, 0)
    titles = []
    monkeypatch.setattr(figures, "guesses", lambda found, path, title: titles.append((found, title)))
    inspection.draw(table, heats, store, test, "m", tmp_path)
    assert all(guess.heat is None for found, _ in titles for guess in found)
    assert all("no heat: the network has no map of places" in title for _, title in titles)


# --- suspected label errors ---


@pytest.fixture(scope="session")
def clear(solar):
    """Real cells of two kinds, mono and poly, whose surfaces are plainly different: features and labels."""
    rows, kinds = [], []
    for kind in (0, 1):
        for path in sorted((solar / ("mono-ok", "poly-ok")[kind]).iterdir())[:150]:
            with Image.open(path) as photo:
                grey = np.asarray(photo.convert("L").resize((64, 64))).astype(np.float32)
            spectrum = np.log1p(np.abs(np.fft.rfft2(grey - grey.mean())))
            corners = [grey[:6, :6], grey[:6, -6:], grey[-6:, :6], grey[-6:, -6:]]
            rows.append([*spectrum.reshape(8, 8, 33)[..., :32].mean(1).reshape(8, 8, 4).mean(2).ravel(),
                         *(corner.mean() / grey.mean() for corner in corners), grey.std()])  # fmt: skip
            kinds.append(kind)
    return np.array(rows), np.array(kinds)


def test_planted_wrong_labels_are_found_at_the_top(clear):
    """12 of 150 unseen real photos get the other label; a model that never saw them points at them."""
    features, kinds = clear
    random = np.random.default_rng(1)
    order = random.permutation(len(kinds))
    train, unseen = order[:150], order[150:]
    mean, std = features[train].mean(0), features[train].std(0) + 1e-9
    model = LogisticRegression(max_iter=2000, C=0.1).fit((features[train] - mean) / std, kinds[train])
    found = model.predict_proba((features[unseen] - mean) / std)
    planted = set(random.choice(150, 12, replace=False).tolist())
    given = np.array([1 - kind if i in planted else kind for i, kind in enumerate(kinds[unseen])])
    table = predictions_of(found, given, ["mono", "poly"])
    table.loc[::2, "split"] = "val"
    suspects = labels.suspects(table, ["mono", "poly"])
    listed = [int(name, 16) for name in suspects["photo_id"]]
    assert planted <= set(listed[:14])
    assert len(listed) < 20
    assert list(suspects.columns) == labels.COLUMNS
    margin = suspects["label_probability"] - suspects["prediction_probability"]
    assert margin.is_monotonic_increasing
    assert (margin < 0).all()
    assert set(suspects["split"]) == {"val", "test"}


def test_good_labels_are_not_suspect():
    truth = np.arange(60) % 3
    sure = np.full((60, 3), 0.02)
    sure[np.arange(60), truth] = 0.96
    suspects = labels.suspects(predictions_of(sure, truth, NAMES), NAMES)
    assert len(suspects) == 0
    assert list(suspects.columns) == labels.COLUMNS


def test_suspects_are_drawn_and_counted(store, tmp_path, monkeypatch):
    table = predictions_of(PROBABILITIES, TRUTH, NAMES)
    table = table.rename(columns={"truth": "label"}).assign(label_probability=0.1, prediction_probability=0.8)
    titles = []
    monkeypatch.setattr(figures, "suspects", lambda found, path, title: titles.append((len(found), title)))
    split = table[["photo_id"]].assign(slot=range(5))
    inspection.draw_suspects(table[labels.COLUMNS], split, store, "m", 3, tmp_path)
    inspection.draw_suspects(table[labels.COLUMNS], split, store, "m", 9, tmp_path)
    words = "m: 5 suspected label errors among validation and test photos"
    assert titles == [(3, f"{words}, the first 3"), (5, words)]
