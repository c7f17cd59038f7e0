import os
import socket
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from photofiles import LOSSLESS, LOSSY, as_stored, bomb, encode, every_kind, oriented, picture
from PIL import Image

from handlens import photos
from handlens.reasons import REASONS, PhotoError

RGB = picture()


def read(data, **options):
    return photos.read(data, **{"transparency": "black", "max_megapixels": 100.0, **options})


def reason(data, **options):
    with pytest.raises(PhotoError) as caught:
        read(data, **options)
    assert caught.value.reason in REASONS
    return caught.value.reason


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_give_the_very_pixels(kind):
    photo = read(encode(RGB, kind, **LOSSLESS[kind]))
    assert np.array_equal(photo.rgb, RGB)
    assert photo.header.format == kind
    assert (photo.header.width, photo.header.height, photo.header.orientation) == (90, 60, 1)


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_formats_give_nearly_the_pixels(kind):
    photo = read(encode(RGB, kind, **LOSSY[kind]))
    assert np.abs(photo.rgb.astype(int) - RGB).mean() < 6
    assert photo.header.format == kind


@pytest.mark.parametrize("name", every_kind(RGB))
def test_every_kind_is_read(name):
    photo = read(every_kind(RGB)[name])
    want = RGB if photo.header.orientation == 1 else np.rot90(RGB, -1)
    if "rgba" in name:
        alpha = np.asarray(Image.fromarray(RGB).convert("L"))[..., None] / 255
        want = RGB * alpha
    if any(part in name for part in ("16", "grey")):
        want = np.asarray(Image.fromarray(RGB).convert("L"))[..., None]
    assert np.abs(photo.rgb - want.astype(float)).mean() < 9
    assert photo.header.frames == (3 if "animated" in name or "pages" in name or "mpo" in name else 1)
    assert ("first of 3 pictures" in photo.detail) == (photo.header.frames == 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
def test_exif_turns_the_photo_upright(kind, orientation):
    stored = Image.fromarray(np.ascontiguousarray(as_stored(RGB, orientation)))
    photo = read(encode(stored, kind, exif=oriented(orientation), **LOSSLESS.get(kind, LOSSY.get(kind))))
    assert photo.rgb.shape == RGB.shape
    assert np.abs(photo.rgb.astype(int) - RGB).mean() < (0.01 if kind in LOSSLESS else 6)
    assert photo.header.orientation == orientation
    assert (photo.header.width, photo.header.height) == (90, 60)


def test_an_orientation_without_meaning_counts_as_none():
    assert read(encode(RGB, "PNG", exif=oriented(77))).header.orientation == 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_lie_on_the_chosen_background(mode):
    alpha = np.zeros((60, 90), np.uint8)
    alpha[:, 45:] = 255
    image = Image.fromarray(np.dstack([RGB, alpha]))
    image = image.quantize(128) if mode == "P" else image.convert(mode)
    for background, value in (("black", 0), ("white", 255)):
        rgb = read(encode(image, "PNG"), transparency=background).rgb
        assert (rgb[:, :44] == value).all()
        assert rgb[:, 46:].std() > 10


def test_heic_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    data = encode(RGB, "HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError, match=r"pip install 'handlens\[heic\]'") as caught:
        read(data)
    assert caught.value.reason == "needs_extra"


def test_16_bit_values_keep_their_high_byte():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for kind in ("PNG", "TIFF"):
        rgb = read(encode(Image.fromarray(values), kind)).rgb
        assert np.array_equal(rgb, np.repeat((values >> 8)[..., None], 3, 2))


def test_values_without_a_range_are_refused():
    assert reason(encode(Image.fromarray(np.ones((9, 9), np.float32)), "TIFF")) == "unsupported"
    assert reason(encode(Image.fromarray(np.ones((9, 9), np.int32)), "TIFF")) == "unsupported"


def test_camera_raw_is_refused_since_its_first_picture_is_a_thumbnail():
    assert reason(encode(RGB, "TIFF", tiffinfo={50706: b"\1\4\0\0"})) == "not_a_photo"
    assert reason(encode(RGB, "TIFF", tiffinfo={254: 1})) == "not_a_photo"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"<!DOCTYPE html><title>404</title>", "not_a_photo"),
        (b"\xff\xd8\xff", "unreadable"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "unreadable"),
        (encode(RGB, "JPEG")[:-900], "truncated"),
        (encode(RGB, "PNG")[:-900], "truncated"),
        (encode(RGB, "WEBP")[:-200], "unreadable"),
        (bomb(), "too_large"),
        (bomb(2**32 - 1, 2**32 - 1), "too_large"),
        (encode(RGB, "JPEG", progressive=True)[:-900], "truncated"),
    ],
)
def test_broken_content_has_a_reason(data, code):
    assert reason(data) == code


def test_a_jpeg_with_wrong_data_inside_is_not_passed_as_good():
    data = bytearray(encode(picture(400, 300), "JPEG", restart_marker_blocks=4))
    for at in range(len(data) // 2, len(data) // 2 + 200, 7):
        data[at] ^= 0x55
    assert reason(bytes(data)) == "damaged"


def test_rubbish_behind_a_photo_is_harmless():
    for kind in ("JPEG", "PNG", "GIF"):
        data = encode(RGB, kind)
        assert np.array_equal(read(data + b"rubbish" * 99).rgb, read(data).rgb)


def test_megapixels_are_counted_before_decoding():
    data = encode(RGB, "JPEG")
    assert read(data, max_megapixels=0.0054).rgb.shape == RGB.shape
    assert reason(data, max_megapixels=0.0053) == "too_large"


def test_reading_leaves_pillow_as_it_was():
    before = Image.MAX_IMAGE_PIXELS
    read(encode(RGB, "PNG"))
    reason(bomb())
    assert before == Image.MAX_IMAGE_PIXELS


def test_what_is_no_file_is_never_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "door"))
    for path, code in (
        (tmp_path / "pipe", "not_a_file"),
        (tmp_path / "door", "io_error"),
        (Path("/dev/zero"), "not_a_file"),
        (tmp_path, "not_a_file"),
        (tmp_path / "missing.jpg", "vanished"),
    ):
        assert reason(path) == code


def test_a_path_reads_like_its_bytes(tmp_path: Path):
    path = tmp_path / "照 片.txt"
    path.write_bytes(encode(RGB, "PNG"))
    assert np.array_equal(read(path).rgb, RGB)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("variant", ["plain", "progressive", "grey"])
def test_both_jpeg_decoders_give_the_same_pixels(subsampling, variant):
    image = Image.fromarray(picture(317, 211))
    image = image.convert("L") if variant == "grey" else image
    options = {} if variant == "grey" else {"subsampling": subsampling}
    data = encode(image, "JPEG", progressive=variant == "progressive", **options)
    with Image.open(BytesIO(data)) as slow:
        assert np.array_equal(read(data).rgb, np.asarray(slow.convert("RGB")))


def test_scaled_decoding_stays_within_its_tolerance(food: list[Path]):
    """Photos of a few megapixels are made of real ones: sheets of 2 × 2 to 8 × 8."""
    real = [np.asarray(Image.open(path).convert("RGB").resize((304, 168))) for path in food[:128]]
    differences = []
    for number in range(12):
        across = 2 + number // 2
        tiles = [real[(number * 37 + k * 5) % len(real)] for k in range(across * across)]
        sheet = np.vstack([np.hstack(tiles[row * across : (row + 1) * across]) for row in range(across)])
        data = encode(sheet, "JPEG", quality=90, exif=oriented(1 + number % 8))
        for store in ((96, "letterbox"), (64, "crop"), (48, "squash")):
            fast, full = read(data, store=store), read(data)
            assert fast.header == full.header
            (a, box), (b, same) = (photos.fit(p.rgb, *store, whole=p.header) for p in (fast, full))
            assert box == same
            content = np.abs(a.astype(int) - b)[box.y : box.y + box.height, box.x : box.x + box.width]
            scaled = fast.rgb.shape != full.rgb.shape
            differences.append((scaled, content.mean()))
    assert sum(scaled for scaled, _ in differences) > 20
    assert max(mean for _, mean in differences) < 1.0
    assert np.mean([mean for scaled, mean in differences if scaled]) < 0.6


def test_a_photo_whose_last_block_is_partly_filled_is_not_stretched():
    header = read(encode(picture(897, 1600), "JPEG")).header
    assert photos.scale_shift(header, (96, "letterbox")) == 1  # 897 = 8 · 112 + 1
    assert photos.scale_shift(header, None) == 0


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((400, 300), (0, 12, 96, 72)),
        ((300, 400), (12, 0, 72, 96)),
        ((307, 172), (0, 21, 96, 54)),
        ((640, 633), (0, 0, 96, 95)),
        ((1000, 1), (0, 47, 96, 1)),
        ((50, 50), (0, 0, 96, 96)),
        ((192, 127), (0, 16, 96, 64)),  # 63.5 rounds up
        ((192, 125), (0, 16, 96, 63)),  # 62.5 rounds up
    ],
)
def test_where_the_photo_lies(size, box):
    assert photos.placed(*size, 96, "letterbox") == box
    square, found = photos.fit(picture(*size), 96, "letterbox")
    assert found == box
    outside = square.copy()
    outside[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = 0
    assert square.shape == (96, 96, 3)
    assert not outside.any()


def test_shrinking_averages_the_area():
    rgb = picture(192, 192)
    square, _ = photos.fit(rgb, 48, "letterbox")
    mean = rgb.reshape(48, 4, 48, 4, 3).mean(axis=(1, 3))
    assert np.abs(square - mean).max() <= 0.5 + 1e-9


def test_crop_takes_the_centre_and_squash_all():
    rgb = picture(200, 100)
    crop, box = photos.fit(rgb, 100, "crop")
    assert np.array_equal(crop, rgb[:, 50:150])
    assert box == (0, 0, 100, 100)
    squash, _ = photos.fit(rgb, 100, "squash")
    mean = rgb.reshape(100, 100, 2, 3).mean(axis=2)
    assert np.abs(squash - mean).max() <= 0.5 + 1e-9


def test_a_side_that_grows_and_one_that_shrinks():
    square, box = photos.fit(np.full((400, 20, 3), 77, np.uint8), 96, "squash")
    assert box == (0, 0, 96, 96)
    assert (square == 77).all()
