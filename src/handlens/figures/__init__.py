"""The pictures: of photos and classes, of models' scores, contact sheets; one look for all.

Nothing here imports torch, scikit-learn or scipy: table stages draw within their second.
"""

from handlens.figures.dataset import class_counts, quality, sizes
from handlens.figures.scores import confusion, curves, files, leaderboard, reliability, robustness, trade_off
from handlens.figures.sheets import Guess, Suspect, duplicate_groups, guesses, suspects
from handlens.figures.style import glow

__all__ = [
    "Guess",
    "Suspect",
    "class_counts",
    "confusion",
    "curves",
    "duplicate_groups",
    "files",
    "glow",
    "guesses",
    "leaderboard",
    "quality",
    "reliability",
    "robustness",
    "sizes",
    "suspects",
    "trade_off",
]
