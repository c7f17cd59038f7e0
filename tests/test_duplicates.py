import io
import time
from pathlib import Path

import numpy as np
import pandas as pd
from photofiles import picture
from PIL import Image

from handlens import duplicates, params
from handlens.decoding import Settings, measure
from handlens.fingerprints import FLIPS, HFLIP, THUMB, VFLIP, difference, flat, local_range, phash, thumb

SCAN = params.load(Path(__file__).parent.parent / "params.yaml").scan
SETTINGS = Settings(SCAN.store_size, SCAN.fit, SCAN.transparency, SCAN.max_megapixels)
LIMITS = {"distance": SCAN.duplicate_distance, "difference_limit": SCAN.duplicate_difference}


def fingerprints(files: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    rows = [measure(data, SETTINGS)[1] for data in files]
    thumbs = np.frombuffer(b"".join(row["thumb"] for row in rows), np.uint16).reshape(-1, THUMB, THUMB)
    return np.array([row["phash"] for row in rows], np.uint64), thumbs


def group(hashes: np.ndarray, thumbs: np.ndarray, content: list[str] | None = None, **limits) -> np.ndarray:
    count = len(hashes)
    sha256 = pd.Series(content or [f"{number:064x}" for number in range(count)])
    return duplicates.groups(sha256, hashes, thumbs, np.ones(count, bool), **{**LIMITS, **limits})


def copy_of(data: bytes, random: np.random.Generator) -> bytes:
    """Resize to 50 to 200 %, perhaps mirror or turn upside down, write as JPEG of quality 40 to 95."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    share = 2 ** random.uniform(-1, 1)
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    filters = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
    image = image.resize(size, filters[random.integers(3)])
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(random.integers(40, 96)))
    return buffer.getvalue()


def test_planted_copies_of_real_photos_are_found_and_no_others(solar: Path, food: list[Path]):
    """Solar cells look alike, more than most photos: 2,223 of them; of the food photos each content once."""
    random = np.random.default_rng(5)
    contents = dict.fromkeys(path.read_bytes() for path in sorted(solar.glob("*/*")))
    cells = list(contents)
    meals = list(dict.fromkeys(path.read_bytes() for path in food))
    hashes, thumbs = fingerprints(cells)
    alone = group(hashes, thumbs)
    false_groups = len(set(alone[alone != np.arange(len(alone))]))
    assert false_groups <= len(cells) / 1000

    chosen = [*cells[::4], *meals]
    copied = [copy_of(data, random) for data in chosen]
    first, first_thumbs = fingerprints(chosen)
    second, second_thumbs = fingerprints(copied)
    found = group(np.r_[first, second], np.r_[first_thumbs, second_thumbs])
    recall = (found[len(chosen) :] == found[: len(chosen)]).mean()
    assert recall >= 0.99


def test_the_hash_of_a_flip_is_an_exclusive_or():
    grey = picture()[..., 1]
    assert phash(np.ascontiguousarray(grey[:, ::-1])) == phash(grey) ^ int(HFLIP)
    assert phash(np.ascontiguousarray(grey[::-1])) == phash(grey) ^ int(VFLIP)
    for mask, down, across in FLIPS:
        assert phash(np.ascontiguousarray(grey[::down, ::across])) == phash(grey) ^ int(mask)
        assert np.array_equal(
            thumb(np.ascontiguousarray(grey[::down, ::across])), thumb(grey)[::down, ::across]
        )
    assert phash(grey) & 1 == 0


def test_the_index_finds_what_comparing_all_pairs_finds():
    random = np.random.default_rng(1)
    hashes = random.integers(0, 2**64, 600, dtype=np.uint64)
    for row in range(300, 600):
        hashes[row] = hashes[row - 300] ^ FLIPS[row % 4][0]
        for bit in random.choice(64, row % 13, replace=False):
            hashes[row] ^= np.uint64(1 << int(bit))
    for distance in (0, 3, 7, 11):
        found = {
            (a, b, flip)
            for rows, others, flip in duplicates.candidates(hashes, distance, np.zeros(600, bool))
            for a, b in zip(rows.tolist(), others.tolist(), strict=True)
        }
        want = set()
        for flip, (mask, _, _) in enumerate(FLIPS):
            apart = np.bitwise_count((hashes ^ mask)[:, None] ^ hashes[None, :])
            want |= {(int(a), int(b), flip) for a, b in np.argwhere(apart <= distance) if a < b}
        assert found == want
        assert len(want) >= 300 * (distance + 1) // 13


def test_groups_are_connected_and_named_after_their_first_row():
    base = picture()[..., 0]
    lighter = [np.clip(base.astype(int) + step, 0, 255).astype(np.uint8) for step in (0, 1, 2)]
    other = picture(seed=9)[..., 0]
    greys = [other, *lighter, np.ascontiguousarray(lighter[2][:, ::-1])]
    hashes, thumbs = np.array([phash(g) for g in greys], np.uint64), np.array([thumb(g) for g in greys])
    found = group(hashes, thumbs, difference_limit=1.2)
    assert found.tolist() == [0, 1, 1, 1, 1]
    assert difference(thumbs[1:2], thumbs[3:4])[0] > 1.2  # by way of row 2 only


def test_a_slow_film_is_one_group_in_any_order():
    """Each frame is like the next, not like those after it."""
    start, end = picture()[..., 0].astype(float), picture(seed=9)[..., 0].astype(float)
    greys = [np.uint8(start + (end - start) * k / 400) for k in range(120)]
    order = np.random.default_rng(3).permutation(120)
    hashes = np.array([phash(greys[k]) for k in order], np.uint64)
    thumbs = np.array([thumb(greys[k]) for k in order])
    assert not group(hashes, thumbs).any()
    assert difference(thumb(greys[0])[None], thumb(greys[40])[None])[0] > 3 * LIMITS["difference_limit"]


def test_equal_content_is_one_group_whatever_it_shows():
    hashes, thumbs = np.zeros(5, np.uint64), np.zeros((5, THUMB, THUMB), np.uint16)
    readable = np.array([True, True, False, False, False])
    content = pd.Series(["a", "b", "a", "", ""])
    found = duplicates.groups(content, hashes, thumbs, readable, **LIMITS)
    assert found.tolist() == [0, 1, 0, 3, 4]


def test_photos_without_texture_are_not_copies_of_each_other():
    plain = [np.full((50, 50), value, np.uint8) for value in (100, 100, 101)]
    thumbs = np.array([thumb(grey) for grey in plain])
    assert flat(thumbs).all()
    assert not flat(thumb(picture()[..., 0])[None])[0]
    assert group(np.zeros(3, np.uint64), thumbs).tolist() == [0, 1, 2]


def test_a_difference_in_one_spot_counts_and_one_at_an_edge_counts_less():
    calm = np.full((1, THUMB, THUMB), 100 * 128, np.uint16)
    spot, edge = calm.copy(), calm.copy()
    spot[0, 5, 5] += 4 * 128
    assert difference(calm, spot)[0] > 1.1
    edge[0, :, 6:] = 250 * 128
    moved = edge.copy()
    moved[0, 5, 5] += 4 * 128
    assert difference(edge, moved)[0] < difference(calm, spot)[0] / 1.3
    assert local_range(np.arange(9, dtype=np.float32).reshape(1, 3, 3)).tolist() == [
        [[4, 5, 4], [7, 8, 7], [4, 5, 4]]
    ]


def test_a_burst_of_one_scene_does_not_compare_all_pairs():
    """30,000 frames of one scene have 450 million pairs."""
    grey = picture()[..., 0]
    thumbs = np.broadcast_to(thumb(grey), (30_000, THUMB, THUMB))
    began = time.process_time()
    found = group(np.full(30_000, phash(grey), np.uint64), thumbs)
    assert not found.any()
    assert time.process_time() - began < 20
