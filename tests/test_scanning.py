import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from photofiles import encode, every_kind, mutated, oriented, picture
from PIL import Image

from handlens import manifest, params, scanning
from handlens.decoding import Settings
from handlens.errors import UserError
from handlens.pixels import PixelStore
from handlens.reasons import REASONS

SETTINGS = Settings(32, "letterbox", "black", 50.0)
FUZZED = int(os.environ.get("HANDLENS_FUZZ", "500"))


class Counting:
    """Notes how many files were known before the first job, and how many are done."""

    def __init__(self) -> None:
        self.known: int | None = None
        self.done = 0

    def __call__(self, done: int, total: int) -> None:
        self.known = done if self.known is None else self.known
        self.done = done


def scan(
    raw: Path, out: Path, *, unfinished: Path | None = None, workers: int = 2, settings=SETTINGS, **where
):
    counting = Counting()
    photos = scanning.scan(
        raw,
        out,
        settings=settings,
        distance=7,
        difference=1.1,
        unfinished=unfinished or out.with_name(out.name + "-unfinished"),
        where=scanning.Where(workers=workers, **where),
        progress=counting,
    )
    return photos, counting


def content(out: Path) -> dict[str, str]:
    """Hash the outputs."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def fill(raw: Path, count: int = 24, first: int = 0) -> Path:
    """Write small photos of two classes."""
    for number in range(first, first + count):
        path = raw / ("单晶 正常", "b")[number % 2] / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(picture(60 + number % 7, 40, number), "JPEG", exif=oriented(1 + number % 8)))
    return raw


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("small") / "raw")


def test_rows_and_pixels_belong_together(small: Path, tmp_path: Path):
    (raw := tmp_path / "raw").symlink_to(small)
    photos, _ = scan(raw, tmp_path / "out")
    read = manifest.read_photos(tmp_path / "out/photos.parquet")
    pd.testing.assert_frame_equal(photos, read)
    assert list(photos.columns) == manifest.PHOTOS.names
    assert photos["path"].tolist() == sorted(photos["path"], key=os.fsencode)
    assert photos["slot"].tolist() == list(range(24))
    assert set(photos["label"]) == {"b", "单晶 正常"}
    store = PixelStore(tmp_path / "out/pixels")
    assert len(store) == 24
    for row in photos.itertuples():
        data = (raw / row.path).read_bytes()
        assert row.sha256 == hashlib.sha256(data).hexdigest()
        assert row.photo_id == hashlib.sha256(row.path.encode()).hexdigest()[:16]
        assert row.bytes == len(data)
        square = store.take(np.array([row.slot]))[0].astype(np.int64)
        inside = square[row.content_y :, row.content_x :][: row.content_height, : row.content_width]
        assert inside.sum() == square.sum()
        for number, channel in enumerate("rgb"):
            assert getattr(row, f"sum_{channel}") == inside[..., number].sum()
            assert getattr(row, f"squares_{channel}") == (inside[..., number] ** 2).sum()
        grey = inside @ np.array([0.299, 0.587, 0.114])
        assert row.brightness == pytest.approx(grey.mean(), abs=0.6)
        assert row.contrast == pytest.approx(grey.std(), abs=0.6)
        assert row.sharpness > 0


def test_every_kind_of_file_has_a_row_and_a_reason(tmp_path: Path):
    raw = fill(tmp_path / "raw", 4)
    kinds = every_kind(picture())
    for name, data in kinds.items():
        (raw / "b" / f"{name}.xyz").write_bytes(data)
    os.mkfifo(raw / "b/pipe.jpg")
    (raw / "b/folder.jpg").mkdir()
    (raw / "b/dangling.jpg").symlink_to("nowhere")
    (raw / "b/loop.jpg").symlink_to("loop.jpg")
    (raw / "b/empty.jpg").touch()
    (raw / "b/page.jpg").write_text("<html>")
    (raw / "b/cut.jpg").write_bytes(encode(picture(), "JPEG")[:-500])
    (raw / "b" / os.fsdecode(b"\xff.jpg")).write_bytes(kinds["jpeg-grey"])
    (raw / "beside.jpg").write_bytes(kinds["jpeg-grey"])
    photos, _ = scan(raw, tmp_path / "out")
    status = dict(zip(photos["path"], photos["status"], strict=True))
    assert all(status.pop(f"b/{name}.xyz") == "ok" for name in kinds)
    assert {path: code for path, code in status.items() if code != "ok"} == {
        "b/pipe.jpg": "not_a_file",
        "b/folder.jpg": "not_a_file",
        "b/dangling.jpg": "dangling_link",
        "b/loop.jpg": "looping_link",
        "b/empty.jpg": "empty_file",
        "b/page.jpg": "not_a_photo",
        "b/cut.jpg": "truncated",
        "b/\\xff.jpg": "name_not_utf8",
        "beside.jpg": "not_in_class_folder",
    }
    assert set(photos["status"]) <= set(REASONS)
    assert (photos["slot"] >= 0).tolist() == (photos["status"] == "ok").tolist()
    assert photos["photo_id"].is_unique


def test_the_result_does_not_depend_on_how_it_was_made(small: Path, tmp_path: Path):
    backwards = tmp_path / "backwards"
    for path in sorted(small.glob("*/*"), reverse=True):
        (backwards / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, backwards / path.parent.name / path.name)
    scan(small, tmp_path / "one", workers=1)
    scan(backwards, tmp_path / "three", workers=3)
    assert content(tmp_path / "one") == content(tmp_path / "three")


def test_shards_are_cut_where_the_store_expects_it(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scanning, "SHARD", 10)
    (raw := tmp_path / "raw").symlink_to(small)
    photos, _ = scan(raw, tmp_path / "out")
    shards = [np.load(path) for path in sorted((tmp_path / "out/pixels").iterdir())]
    assert [len(shard) for shard in shards] == [10, 10, 4]
    whole, _ = scan(raw, tmp_path / "again", unfinished=tmp_path / "other")
    pd.testing.assert_frame_equal(photos, whole)


def test_raw_photos_are_only_read(tmp_path: Path):
    raw = fill(tmp_path / "raw", 8)
    for path in [*raw.glob("*/*"), *raw.glob("*"), raw]:
        path.chmod(0o555 if path.is_dir() else 0o444)

    def state():
        return [(p, os.lstat(p).st_mtime_ns, os.lstat(p).st_ctime_ns) for p in sorted(raw.rglob("*"))]

    before = state()
    scan(raw, tmp_path / "out")
    assert state() == before
    for path in [raw, *raw.glob("*")]:
        path.chmod(0o755)


def test_known_photos_are_not_decoded_again(tmp_path: Path):
    raw = fill(tmp_path / "raw", 12)
    scan(raw, tmp_path / "out")
    fill(raw, 3, first=12)
    (raw / "b/001.jpg").write_bytes(encode(picture(70, 70, 99), "PNG"))
    (raw / "b/003.jpg").unlink()
    shutil.rmtree(tmp_path / "out")  # as DVC does it
    _, counting = scan(raw, tmp_path / "out")
    assert (counting.known, counting.done) == (10, 14)
    scan(raw, tmp_path / "fresh")
    assert content(tmp_path / "out") == content(tmp_path / "fresh")
    _, counting = scan(raw, tmp_path / "out")
    assert counting.known == 14


def test_other_settings_decode_everything_again(tmp_path: Path):
    raw = fill(tmp_path / "raw", 6)
    scan(raw, tmp_path / "out")
    _, counting = scan(raw, tmp_path / "out", settings=Settings(48, "crop", "white", 50.0))
    assert counting.known == 0
    assert PixelStore(tmp_path / "out/pixels").size == 48


def test_pixels_changed_behind_our_back_are_not_trusted(tmp_path: Path):
    raw = fill(tmp_path / "raw", 6)
    scan(raw, tmp_path / "out")
    before = content(tmp_path / "out")
    with (tmp_path / "out/pixels/00000.npy").open("r+b") as file:
        file.seek(500)
        file.write(b"scribble")
    assert content(tmp_path / "out") != before
    scan(raw, tmp_path / "out")
    assert content(tmp_path / "out") == before


def test_the_store_and_what_is_kept_share_the_disk(tmp_path: Path):
    raw = fill(tmp_path / "raw", 6)
    scan(raw, tmp_path / "out")
    assert (tmp_path / "out/pixels/00000.npy").stat().st_nlink == 2
    kept = [path.suffix for path in (tmp_path / "out-unfinished").rglob("*") if path.is_file()]
    assert sorted(kept) == ["", ".arrow", ".npy"]


def test_a_folder_without_one_readable_photo_says_why(tmp_path: Path):
    for name in "ab":
        (tmp_path / "raw" / name).mkdir(parents=True)
        (tmp_path / "raw" / name / "1.jpg").write_text("nothing")
    with pytest.raises(UserError, match=r"none of the 2 files .* \(not_a_photo: 2\); the first is a/1.jpg"):
        scan(tmp_path / "raw", tmp_path / "out")


FAULTS = """
import ctypes, os, signal
from PIL import Image
real = Image.open
def faulty(file, *arguments, **options):
    content = file.getvalue()
    if b"CRASH" in content:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"HANG" in content:
        ctypes.PyDLL(None).sleep(1000)  # in C, holding the interpreter's lock
    if b"SLOW" in content:
        __import__("time").sleep(0.3)
    return real(file, *arguments, **options)
Image.open = faulty
"""
DRIVER = """
import sys
from pathlib import Path
from handlens import scanning
from handlens.decoding import Settings
raw, out, unfinished, workers, seconds = sys.argv[1:]
def progress(done, total):
    print(done, total, flush=True)
if __name__ == "__main__":
    scanning.scan(
        Path(raw), Path(out), settings=Settings(32, "letterbox", "black", 50.0), distance=7, difference=1.1,
        unfinished=Path(unfinished), where=scanning.Where(workers=int(workers), seconds=float(seconds)),
        progress=progress,
    )
"""


def start(
    folder: Path, raw: Path, workers: int = 2, seconds: float = 2.5, **options
) -> subprocess.Popen[str]:
    """Scan in a process whose decoder crashes, hangs or is slow on files that say so."""
    (folder / "faults").mkdir(exist_ok=True)
    (folder / "faults/sitecustomize.py").write_text(FAULTS)
    (folder / "driver.py").write_text(DRIVER)
    return subprocess.Popen(
        [
            sys.executable,
            folder / "driver.py",
            raw,
            folder / "out",
            folder / "unfinished",
            str(workers),
            str(seconds),
        ],
        env={**os.environ, "PYTHONPATH": str(folder / "faults")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_file_that_kills_or_hangs_a_decoder_costs_one_row(tmp_path: Path):
    raw = fill(tmp_path / "raw", 16)
    for name in ("crash", "hang"):
        (raw / f"b/{name}.jpg").write_bytes(encode(picture(), "JPEG") + name.upper().encode())
    process = start(tmp_path, raw, workers=1)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    photos = manifest.read_photos(tmp_path / "out/photos.parquet").set_index("path")
    assert photos.loc["b/crash.jpg", "status"] == "decoder_crashed"
    assert "SIGSEGV" in photos.loc["b/crash.jpg", "detail"]
    assert photos.loc["b/hang.jpg", "status"] == "timeout"
    assert (photos.drop(["b/crash.jpg", "b/hang.jpg"])["status"] == "ok").all()
    assert len(PixelStore(tmp_path / "out/pixels")) == 16


def test_a_killed_scan_goes_on_where_it_was(tmp_path: Path):
    raw = fill(tmp_path / "raw", 150)
    for path in sorted(raw.glob("*/*"))[100:]:
        path.write_bytes(path.read_bytes() + b"SLOW")
    process = start(tmp_path, raw, start_new_session=True)
    assert process.stdout is not None
    while int(process.stdout.readline().split()[0]) < 64:
        pass
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "out").exists()
    _, counting = scan(raw, tmp_path / "out", unfinished=tmp_path / "unfinished")
    assert 64 <= counting.known < 150
    scan(raw, tmp_path / "fresh")
    assert content(tmp_path / "out") == content(tmp_path / "fresh")


def test_a_full_disk_leaves_nothing_that_is_trusted_later(tmp_path: Path):
    raw = fill(tmp_path / "raw", 150)

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    process = start(tmp_path, raw, preexec_fn=small_files)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "File too large" in errors
    assert not list((tmp_path / "unfinished").rglob("*.partial"))
    scan(raw, tmp_path / "out", unfinished=tmp_path / "unfinished")
    scan(raw, tmp_path / "fresh")
    assert content(tmp_path / "out") == content(tmp_path / "fresh")


def test_fuzzed_files_lose_no_row_and_never_stop(tmp_path: Path, food: list[Path]):
    """Files made from a real photo, broken in every way; HANDLENS_FUZZ=6000 for a long run."""
    random = np.random.default_rng(FUZZED)
    with Image.open(food[7]) as photo:
        kinds = every_kind(np.asarray(photo.convert("RGB").resize((120, 68))))
    names = sorted(kinds)
    for number in range(FUZZED):
        path = tmp_path / "raw" / "ab"[number % 2] / f"{number:05d}.{names[number % len(names)]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mutated(kinds[names[number % len(names)]], random))
    photos, _ = scan(tmp_path / "raw", tmp_path / "out", seconds=20)
    assert len(photos) == FUZZED
    assert set(photos["status"]) <= set(REASONS)
    assert not photos["status"].isin(["decoder_crashed", "timeout", "io_error"]).any()
    assert 0.1 < (photos["status"] == "ok").mean() < 0.9
    assert len(PixelStore(tmp_path / "out/pixels")) == (photos["status"] == "ok").sum()


def test_a_cluster_gives_the_same_bytes_and_outlives_a_worker(tmp_path: Path):
    import distributed

    raw = fill(tmp_path / "raw", 200)
    scan(raw, tmp_path / "local")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=False
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        scan(raw, tmp_path / "cluster", scheduler=cluster.scheduler_address)
        assert content(tmp_path / "cluster") == content(tmp_path / "local")
        pids = [worker["pid"] for worker in client.run(lambda: {"pid": os.getpid()}).values()]

        def kill_one(done: int, total: int) -> None:
            if done and len(pids) == 2:
                os.kill(pids.pop(), signal.SIGKILL)

        scanning.scan(
            raw,
            tmp_path / "killed",
            settings=SETTINGS,
            distance=7,
            difference=1.1,
            unfinished=tmp_path / "killed-unfinished",
            where=scanning.Where(workers=2, scheduler=cluster.scheduler_address),
            progress=kill_one,
        )
    assert len(pids) == 1
    assert content(tmp_path / "killed") == content(tmp_path / "local")


def test_a_scheduler_that_is_not_there_says_the_way_out(small: Path, tmp_path: Path):
    with pytest.raises(UserError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        scan(small, tmp_path / "out", scheduler="tcp://127.0.0.1:9")


def test_the_stage_scans_a_project(small: Path, tmp_path: Path):
    root = Path(__file__).parent.parent
    result = subprocess.run(
        [sys.executable, root / "stages/scan.py", root / "params.yaml", small, tmp_path / "out"],
        cwd=tmp_path,
        env={**os.environ, "HANDLENS_WORKERS": "2"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "24 of 24 files are photos that can be read" in result.stderr
    assert (tmp_path / ".dvc/tmp/handlens/scan/lock").exists()
    size = params.load(root / "params.yaml").scan.store_size
    assert PixelStore(tmp_path / "out/pixels").size == size
    missing = subprocess.run(
        [sys.executable, root / "stages/scan.py", root / "params.yaml", "nowhere", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert missing.returncode == 1
    assert missing.stderr.startswith("handlens: nowhere is not a folder.")
