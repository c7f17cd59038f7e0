"""What the pipeline made, read for the report; what is missing is a sentence that names the way to it."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from handlens import checkpoint, inspection, labels, manifest, metrics, params
from handlens.contract import Contract
from handlens.pixels import PixelStore

ALL = "dvc repro"


class Products:
    """The files of the project in the working folder; each is read when it is asked for."""

    @cached_property
    def params(self) -> params.Params:
        """The parameters."""
        return params.load(Path("params.yaml"))

    @cached_property
    def photos(self) -> pd.DataFrame:
        """A row per raw file."""
        return manifest.read_photos(Path("data/scan/photos.parquet"), ["path", "label", "slot", "group"])

    @cached_property
    def store(self) -> PixelStore:
        """The pixels of the photos."""
        return PixelStore(Path("data/scan/pixels"))

    @cached_property
    def contract(self) -> Contract:
        """Class names and preprocessing."""
        return Contract.load(Path("data/contract.json"))

    def step(self, name: str) -> pd.DataFrame:
        """Read the table of filter, augment, balance or split."""
        return manifest.read(Path(f"data/{name}.csv"))

    def numbers(self, name: str) -> dict[str, Any]:
        """Read a metrics file."""
        return metrics.read(Path(f"metrics/{name}.json"), ALL)

    def points(self, name: str) -> pd.DataFrame:
        """Read a plot table."""
        return metrics.read_points(Path(f"plots/{name}.csv"), ALL)

    @cached_property
    def board(self) -> pd.DataFrame:
        """The leaderboard, best validation score first."""
        return self.points("compare")

    @cached_property
    def winner(self) -> str:
        """The model that the report is about."""
        return str(self.numbers("compare")["winner"])

    def of_winner(self, table: str) -> pd.DataFrame:
        """Read a table of the winner's evaluation."""
        return self.points(f"evaluate/{self.winner}/{table}")

    @cached_property
    def card(self) -> checkpoint.Card:
        """The winner's card."""
        return checkpoint.load_card(Path("models", self.winner))

    @cached_property
    def inspected(self) -> tuple[pd.DataFrame, NDArray[np.uint8]]:
        """The winner's worst mistakes and least certain photos, with their heat."""
        return inspection.load(Path("data/inspection", self.winner))

    @cached_property
    def suspects(self) -> pd.DataFrame:
        """The suspected label errors by the winner's predictions; columns: `labels.COLUMNS`."""
        return manifest.read(Path(f"data/label_errors/{self.winner}.csv"))[labels.COLUMNS]
