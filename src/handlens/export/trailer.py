"""Metadata behind the last byte of a `.tflite` or `.pte` file, as a ZIP archive with one JSON file.

TensorFlow Lite keeps a model's associated files this way; the runtimes find their data by offsets from the
beginning and do not see what follows. `unzip` or any ZIP reader shows it.
"""

import io
import json
import zipfile

from handlens.errors import UserError
from handlens.export.metadata import Metadata

NAME = "handlens.json"


def attach(content: bytes, metadata: Metadata) -> bytes:
    """Give `content` with the metadata behind it, the same bytes for the same input."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        text = json.dumps(metadata.to_props(), indent=1, ensure_ascii=False)
        archive.writestr(zipfile.ZipInfo(NAME), text.encode())  # without a clock time
    return content + file.getvalue()


def read(content: bytes, source: str) -> Metadata:
    """Read the metadata behind a file; none or foreign ones are a `UserError` that names `source`."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            props = json.loads(archive.read(NAME))
    except (zipfile.BadZipFile, KeyError, ValueError):
        raise UserError(
            f"{source} is not a file of handlens: no class names and no contract follow its data. Use a file "
            "that 'dvc repro export' made."
        ) from None
    return Metadata.from_props(props, source)
