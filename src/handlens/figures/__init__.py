"""The pictures: of photos and classes, of models' scores, contact sheets; one look for all.

Nothing here imports torch, scikit-learn or scipy: table stages draw within their second.
"""

from handlens.figures.dataset import class_counts, quality, sizes
from handlens.figures.scores import confusion, curves, files, leaderboard, reliability, robustness, trade_off
from handlens.figures.sheets import Mistake, duplicate_groups, mistakes

__all__ = [
    "Mistake",
    "class_counts",
    "confusion",
    "curves",
    "duplicate_groups",
    "files",
    "leaderboard",
    "mistakes",
    "quality",
    "reliability",
    "robustness",
    "sizes",
    "trade_off",
]
