"""An exported file that is loaded, whatever its format."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handlens.export.metadata import Metadata
from handlens.pixels import Pixels


@dataclass(frozen=True)
class Exported:
    """A loaded file and what it says about itself.

    `predict` turns RGB squares (N, store, store, 3) into probabilities (N, classes).
    """

    predict: Callable[[Pixels], NDArray[np.float32]]
    metadata: Metadata

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities."""
        return self.metadata.contract.classes
