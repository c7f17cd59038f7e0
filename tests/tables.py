"""Photo tables without pixels."""

import numpy as np
import pandas as pd


def photos_table(labels: list[str], **columns: object) -> pd.DataFrame:
    """Build a photos table of readable 100 x 100 photos, one per label; `columns` replace defaults."""
    n = len(labels)
    number = np.arange(n)
    values: dict[str, object] = {
        "photo_id": [f"{i:016x}" for i in number],
        "slot": number,
        "path": [f"{label}/{i:05d}.jpg" for i, label in enumerate(labels)],
        "label": labels,
        "sha256": [f"{i:064x}" for i in number],
        "width": 100,
        "height": 100,
        "status": "ok",
        "detail": "",
        "sharpness": 50.0,
        "brightness": 120.0,
        "contrast": 40.0,
        "content_width": 96,
        "content_height": 96,
        "group": number,
        **columns,
    }
    return pd.DataFrame(values)
