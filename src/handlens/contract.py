"""The contract: class names in order and preprocessing, frozen once by `split` and read by everyone after.

What a phone, a page or a script must do to feed an exported model stands here and nowhere else:
turn the photo by its EXIF tag, lay what is transparent on `transparency`, make it RGB, fit it into
`store_size` × `store_size` uint8 by `fit`. The rest
(resize to `input_size`, scale to 0..1, subtract `mean`, divide by `std`) is inside the exported graph.
"""

import hashlib
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from handlens.errors import UserError

Fit = Literal["letterbox", "crop", "squash"]
RGB = tuple[float, float, float]


class Contract(BaseModel):
    """Class names and preprocessing. `mean` and `std` are per channel, in units of value_range.

    The fields with a default have no other value yet; files name them for readers who are not this program.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: tuple[str, ...]
    store_size: int
    input_size: int
    fit: Fit
    transparency: Literal["black", "white"]
    pad: Literal[0] = 0
    interpolation: Literal["area-down linear-up"] = "area-down linear-up"
    channels: Literal["RGB"] = "RGB"
    value_range: tuple[float, float] = (0.0, 1.0)
    mean: RGB
    std: RGB
    split_hash: str

    def save(self, path: Path) -> None:
        """Write as JSON, the same bytes for the same contract."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Contract":
        """Read a contract; a file that is missing or not one is a `UserError`."""
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path} is missing. Run 'dvc repro split' to make it.") from None
        except (ValidationError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not a contract of handlens: {error}") from None

    def require_same(self, other: "Contract", ours: str, theirs: str) -> None:
        """Refuse to go on when two contracts differ; the message lists every differing field."""
        mine, yours = self.model_dump(), other.model_dump()
        differing = [key for key in mine if mine[key] != yours[key]]
        if differing:
            lines = "; ".join(f"{key}: {mine[key]!r} against {yours[key]!r}" for key in differing)
            raise UserError(
                f"the contract of {ours} does not fit {theirs} ({lines}). "
                "Train that model again with 'dvc repro', or use the model that belongs to these data."
            )


def split_hash(rows: pd.DataFrame) -> str:
    """Name a split: sha256 over the sorted lines photo_id, label, op, copy, split."""
    keys = rows["photo_id"].astype(str)
    for name in ("label", "op", "copy", "split"):
        keys = keys + "\t" + rows[name].astype(str)
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()
