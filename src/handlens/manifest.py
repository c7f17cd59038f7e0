"""The tables between the stages: how they are written and read, and which columns they have.

`photos.parquet` has one row per raw file (see `PHOTOS`). The later tables are CSV files in UTF-8 with a
byte order mark, so that a spreadsheet shows Chinese class names:

| table | a row is | columns |
|---|---|---|
| filter | a raw file | photo_id, path, label, slot, status, detail (`status` is `ok` or a reason code) |
| augment | a kept photo or a flip of one | photo_id, path, label, slot, op |
| balance | as augment | photo_id, path, label, slot, op, copy |
| stats | as balance | the columns of balance, pixels, sum_{r,g,b}, squares_{r,g,b} |
| split | as balance | photo_id, path, label, slot, op, copy, group, split |
| predictions | a val or test photo | photo_id, path, split, group, truth, prediction, one per class |
| label_errors | a val or test photo whose label is suspect | the columns of `labels.COLUMNS` |

`op` is how the stored pixels are turned (`none`, `hflip`, `vflip`), `copy` counts repetitions made by
over-sampling (0 is the original), `split` is `train`, `val` or `test`.
"""

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from handlens.errors import UserError

BOM = b"\xef\xbb\xbf"
OPS = ("none", "hflip", "vflip")
SPLITS = ("train", "val", "test")

PHOTOS = pa.schema(
    [
        ("photo_id", pa.string()),  # first 16 hex digits of sha256(path)
        ("slot", pa.int64()),  # row in the pixel store, -1 without pixels
        ("path", pa.string()),  # relative to the raw folder, POSIX
        ("label", pa.string()),  # the class folder's name, NFC; empty beside the class folders
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("format", pa.string()),  # by content: JPEG, PNG, ...
        ("mode", pa.string()),  # Pillow's name of the stored colour mode
        ("width", pa.int32()),  # px, after the EXIF turn
        ("height", pa.int32()),
        ("orientation", pa.int8()),  # EXIF 1..8
        ("frames", pa.int32()),
        ("status", pa.string()),  # ok or a reason code
        ("detail", pa.string()),
        ("sharpness", pa.float32()),  # variance of the Laplacian of the stored grey content
        ("brightness", pa.float32()),  # mean of the stored grey content, 0..255
        ("contrast", pa.float32()),  # standard deviation of the same
        ("phash", pa.uint64()),
        ("content_x", pa.int32()),  # where the photo lies inside its stored square, px
        ("content_y", pa.int32()),
        ("content_width", pa.int32()),
        ("content_height", pa.int32()),
        ("sum_r", pa.int64()),  # of the content's uint8 values; padding excluded
        ("sum_g", pa.int64()),
        ("sum_b", pa.int64()),
        ("squares_r", pa.int64()),
        ("squares_g", pa.int64()),
        ("squares_b", pa.int64()),
        ("group", pa.int64()),  # near-duplicate group, the smallest row number of its members
    ]
)


def write_photos(photos: pd.DataFrame, path: Path) -> None:
    """Write the photos table; the columns and types must be those of `PHOTOS`."""
    table = pa.Table.from_pandas(photos, schema=PHOTOS, preserve_index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table.replace_schema_metadata(None), path)


def read_photos(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read the photos table, or only `columns` of it."""
    if not path.exists():
        raise UserError(f"{path} is missing. Run 'dvc repro scan' first.")
    photos: pd.DataFrame = pyarrow.parquet.read_table(path, columns=columns).to_pandas()
    return photos


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table between stages, the same bytes for the same rows."""
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(BOM)
        file.write(buffer.getbuffer())
    partial.replace(path)


def read(path: Path) -> pd.DataFrame:
    """Read a table between stages; text stays text, an empty cell is an empty string."""
    if not path.exists():
        raise UserError(f"{path} is missing. Run 'dvc repro' to make it.")
    convert = pyarrow.csv.ConvertOptions(
        column_types={
            name: pa.string()
            for name in (
                *("photo_id", "path", "label", "status", "detail", "op", "split"),
                *("truth", "prediction", "rival"),
            )
        },
        strings_can_be_null=False,
    )
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    table = pyarrow.csv.read_csv(path, parse_options=parse, convert_options=convert)
    rows: pd.DataFrame = table.to_pandas()
    return rows
