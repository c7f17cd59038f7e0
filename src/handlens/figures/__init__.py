"""The pictures: of photos and classes, of models' scores, contact sheets; one look for all.

Nothing here imports torch, scikit-learn or scipy: table stages draw within their second.
"""

from handlens.figures.dataset import class_counts, quality, sizes
from handlens.figures.sheets import duplicate_groups

__all__ = ["class_counts", "duplicate_groups", "quality", "sizes"]
