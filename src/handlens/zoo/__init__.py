"""Every architecture of the article, true to its paper: cards, builders, pretrained weights.

Importing this package does not import torch: cards (`names`, `describe`, `check_options`, `require_size`)
are plain data, and what builds networks is loaded at its first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from handlens.zoo import cards as cards
from handlens.zoo.catalog import (
    Architecture,
    Option,
    check_options,
    describe,
    min_size,
    names,
    require_size,
)

if TYPE_CHECKING:
    from handlens.zoo.building import LoadReport, build, head_parameter_names, load_report
    from handlens.zoo.counting import Counts, count
    from handlens.zoo.extras import Criterion, training_loss

_LAZY = {
    "LoadReport": "building",
    "build": "building",
    "head_parameter_names": "building",
    "load_report": "building",
    "Counts": "counting",
    "count": "counting",
    "Criterion": "extras",
    "training_loss": "extras",
}

__all__ = [
    "Architecture",
    "Counts",
    "Criterion",
    "LoadReport",
    "Option",
    "build",
    "check_options",
    "count",
    "describe",
    "head_parameter_names",
    "load_report",
    "min_size",
    "names",
    "require_size",
    "training_loss",
]


def __getattr__(name: str) -> Any:
    """Load what needs torch at its first use."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
