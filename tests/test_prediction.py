import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import shapes
from PIL import Image
from typer.testing import CliRunner

from handlens import cli, photos, prediction
from handlens.errors import UserError
from handlens.export import golden, verification
from handlens.export.reference import eager

TEST = [number for number in range(shapes.COUNT) if number % 5 < 2]


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """An exported file alone in a folder with a Chinese name with spaces."""
    path = tmp_path_factory.mktemp("模型 一") / "形状 文件.onnx"
    path.write_bytes(shapes.contents()["fp32"])
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The test photos as PNG files in class folders."""
    root = tmp_path_factory.mktemp("照片")
    for number in TEST:
        path = root / shapes.CLASSES[number % 3] / f"照片 {number:03d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(shapes.draw(number)).save(path)
    return root


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def known(numbers):
    """Predict drawn photos by the trained network, from the squares that it was trained on."""
    return eager(shapes.classifier())(shapes.squares()[list(numbers)])


def only(model, path):
    """Predict one photo that can be read."""
    (found,) = prediction.predict(prediction.load(model), [path])
    assert found.problem == ""
    return found.probabilities


def test_files_are_predicted_as_the_trained_model_predicts_their_squares(file, folder):
    paths = prediction.find([folder])
    numbers = [int(path.stem.split()[1]) for path in paths]
    found = list(prediction.predict(prediction.load(file), paths))
    assert len(found) == len(TEST)
    given = np.stack([one.probabilities for one in found])
    np.testing.assert_allclose(given, known(numbers), atol=1e-4)


def test_a_trained_models_folder_predicts_the_same(file, folder, tmp_path):
    shapes.save(tmp_path / "形状")
    path = next(iter(prediction.find([folder])))
    np.testing.assert_allclose(only(tmp_path / "形状", path), only(file, path), atol=1e-4)


def test_a_batch_gives_what_single_photos_give(file, folder):
    paths = prediction.find([folder])[:5]
    together = [one.probabilities for one in prediction.predict(prediction.load(file), paths)]
    np.testing.assert_allclose(together, [only(file, path) for path in paths], atol=1e-5)


def saved(tmp_path, name, image, **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def turned(number):
    """Store a photo on its side, with the EXIF tag that sets it upright."""
    exif = Image.Exif()
    exif[274] = 6
    return Image.fromarray(np.rot90(shapes.draw(number)).copy()), {"exif": exif, "quality": 98}


@pytest.mark.parametrize("number", [0, 1, 5])
@pytest.mark.parametrize("kind", ["jpg", "webp", "bmp", "tif", "cmyk", "turned", "huge", "rgba", "no suffix"])
def test_every_kind_of_file_keeps_its_class(kind, number, file, tmp_path):
    image = Image.fromarray(shapes.draw(number))
    name, options = f"照片 {kind}.jpg", {"format": "JPEG", "quality": 97}
    if kind == "cmyk":
        image = image.convert("CMYK")
    elif kind == "turned":
        image, options = turned(number)
    elif kind == "huge":
        image = image.resize((6000, round(6000 * image.height / image.width)), Image.Resampling.BICUBIC)
    elif kind == "rgba":
        image, options = image.convert("RGBA"), {"format": "PNG"}
    elif kind == "no suffix":
        name, options = "照片", {"format": "PNG"}
    elif kind != "jpg":
        name, options = f"照片.{kind}", {}
    probabilities = only(file, saved(tmp_path, name, image, **options))
    assert probabilities.argmax() == known([number])[0].argmax()
    assert np.abs(probabilities - known([number])[0]).max() < 0.2


def test_grey_and_16_bit_photos_are_read_as_their_grey(file, tmp_path):
    grey = shapes.draw(4).mean(axis=2).astype(np.uint8)
    square, _ = photos.fit(np.repeat(grey[..., None], 3, axis=2), shapes.SIZE, "letterbox")
    expected = eager(shapes.classifier())(square[None])[0]
    plain = saved(tmp_path, "grey.png", Image.fromarray(grey))
    deep = saved(tmp_path, "deep.png", Image.fromarray(grey.astype(np.uint16) * 256 + 77))
    np.testing.assert_allclose(only(file, plain), expected, atol=1e-4)
    np.testing.assert_allclose(only(file, deep), expected, atol=1e-4)


def test_what_is_transparent_lies_on_the_colour_of_the_contract(file, tmp_path):
    rgba = np.dstack([shapes.draw(3), np.zeros(shapes.draw(3).shape[:2], np.uint8)])
    clear = saved(tmp_path, "clear.png", Image.fromarray(rgba))
    black = saved(tmp_path, "black.png", Image.new("RGB", (rgba.shape[1], rgba.shape[0])))
    np.testing.assert_array_equal(only(file, clear), only(file, black))


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (1, 500)])
def test_tiny_and_narrow_photos_are_predicted(size, file, tmp_path):
    probabilities = only(file, saved(tmp_path, "tiny.png", Image.new("RGB", size, (200, 60, 50))))
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_unreadable_photos_are_named_and_the_others_predicted(file, folder, tmp_path):
    text, empty, gone = tmp_path / "文本.jpg", tmp_path / "empty.png", tmp_path / "gone.jpg"
    text.write_text("no photo", encoding="utf-8")
    empty.touch()
    good = prediction.find([folder])[0]
    result = run("predict", file, text, good, empty, gone, "--top", 1)
    assert result.exit_code == 1
    assert str(good) in result.stdout
    assert len(result.stdout.splitlines()) == 1
    for path in (text, empty, gone):
        assert sum(str(path) in line for line in result.stderr.splitlines()) == 1
    assert "gone.jpg: There is no such file." in result.stderr


def test_a_folder_means_all_photos_below_it(file, folder, tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    image = Image.fromarray(shapes.draw(0))
    image.save(tmp_path / "a/b/two.png")
    image.save(tmp_path / "one.png")
    image.save(tmp_path / ".hidden/not this.png")
    assert prediction.find([tmp_path]) == [tmp_path / "a/b/two.png", tmp_path / "one.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no files"):
        prediction.find([tmp_path / "empty"])
    assert run("predict", file, folder).exit_code == 0


def test_lines_json_and_table_say_the_same(file, folder, tmp_path):
    photo, table = prediction.find([folder])[0], tmp_path / "表 1.csv"
    result = run("predict", file, photo, "--json", "--top", 9, "--csv", table)
    (found,) = json.loads(result.stdout)
    assert found["prediction"] == shapes.CLASSES[int(photo.stem.split()[1]) % 3]
    assert found["top"][0]["class"] == found["prediction"]
    assert sum(entry["probability"] for entry in found["top"]) == pytest.approx(1, abs=1e-5)
    assert run("predict", file, photo).stdout.startswith(f"{photo}: {found['prediction']} ")
    content = table.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    head, row = content.decode("utf-8-sig").splitlines()
    assert head.replace('"', "") == ",".join(["path", "prediction", "problem", *shapes.CLASSES])
    assert found["prediction"] in row


def test_a_name_that_is_not_utf8_is_printed_escaped(file, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    Image.fromarray(shapes.draw(0)).save(path, format="PNG")
    result = run("predict", file, path)
    assert result.exit_code == 0
    assert "\\xff.png: " in result.stdout


def test_what_is_no_model_is_refused(tmp_path, folder):
    photo = prediction.find([folder])[0]
    notes = tmp_path / "notes.onnx"
    notes.write_text("no model", encoding="utf-8")
    for model, message in (
        (notes, "is not an ONNX file"),
        (tmp_path / "gone.onnx", "is missing"),
        (tmp_path, r"model\.json is missing"),
    ):
        with pytest.raises(UserError, match=message):
            run_plain("predict", model, photo)


def run_plain(*arguments):
    """Run a command and let its errors through."""
    return CliRunner().invoke(cli.app, [str(one) for one in arguments], catch_exceptions=False)


def test_verify_measures_a_labelled_folder(file, folder, tmp_path):
    model = shapes.save(tmp_path / "形状")
    result = run("verify", file, folder, "--against", model)
    assert result.exit_code == 0, result.output
    assert "agreement with" in result.stdout
    assert "60 photos, accuracy" in result.stdout
    assert f"{shapes.CLASSES[1]}: " in result.stdout


def test_verify_finds_a_model_that_disagrees(file, folder, tmp_path):
    other = shapes.contract("squash")
    model = prediction.load(file)
    stretched = prediction.Model(model.predict, other, "stretched")
    paths, labels = verification.labelled(folder, shapes.CLASSES)
    found = verification.verify(stretched, model, paths, labels)
    assert found.parity.agreement < 1
    assert found.parity.accuracy < found.parity.accuracy_trained


def test_verify_needs_folders_named_after_classes(file, folder, tmp_path):
    (tmp_path / "别的 类").mkdir()
    with pytest.raises(UserError, match="别的 类"):
        verification.labelled(tmp_path, shapes.CLASSES)
    with pytest.raises(UserError, match="not a folder"):
        verification.labelled(tmp_path / "gone", shapes.CLASSES)


def test_class_folders_may_be_written_in_another_unicode_form(tmp_path):
    name = "café rouge"
    part = tmp_path / unicodedata.normalize("NFD", name)
    part.mkdir()
    Image.fromarray(shapes.draw(0)).save(part / "a.png")
    paths, labels = verification.labelled(tmp_path, [unicodedata.normalize("NFC", name), "b"])
    assert len(paths) == 1
    assert labels.tolist() == [0]


def test_verify_lists_unreadable_photos_and_fails(file, folder, tmp_path):
    part = tmp_path / shapes.CLASSES[0]
    part.mkdir()
    Image.fromarray(shapes.draw(0)).save(part / "good.png")
    (part / "bad.png").write_bytes(b"bad")
    result = run("verify", file, tmp_path)
    assert result.exit_code == 1
    assert "bad.png" in result.stdout
    assert "1 photos, accuracy 1.0000" in result.stdout


def test_verify_replays_golden_vectors(file, tmp_path):
    pixels = shapes.squares()[:6]
    trained = known(range(6))
    vectors = golden.Golden(
        paths=("a",) * 6,
        labels=tuple(shapes.CLASSES[number % 3] for number in range(6)),
        classes=shapes.CLASSES,
        pixels=pixels,
        probabilities={"trained": trained, "fp32": trained},
    )
    golden.write(vectors, tmp_path)
    (tmp_path / "fp32.onnx").write_bytes(file.read_bytes())
    assert run("verify", tmp_path / "fp32.onnx").exit_code == 0
    golden.write(
        golden.Golden(**{**vars(vectors), "pixels": np.ascontiguousarray(pixels[..., ::-1])}), tmp_path
    )
    result = run("verify", tmp_path / "fp32.onnx")
    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    with pytest.raises(UserError, match=r"golden\.json is missing"):
        run_plain("verify", file)
