"""Contact sheets: photos in a grid with captions, pixel for pixel."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handlens.figures import style

Square = NDArray[np.uint8]  # (S, S, 3) RGB

TILE = 132  # px, side of a photo on the sheet
GAP = 12  # px
LINE = 15  # px, height of a caption line
MARGIN = 18  # px
HEADER = 46  # px, for the title
FONT_POINTS = 7.5
CAPTION_EMS = TILE / (FONT_POINTS / 72 * style.DPI)


@dataclass(frozen=True)
class Tile:
    """A photo (S, S, 3) uint8, the lines of (text, colour) under it, and its place in the grid."""

    square: Square
    caption: Sequence[tuple[str, str]]
    column: int
    row: int


def contact_sheet(tiles: Sequence[Tile], path: Path, *, title: str, columns: int) -> None:
    """Write the tiles of a grid with `columns` columns below a title.

    Captions are cut in the middle to the width of a photo. Without tiles only the title is drawn.
    """
    lines = max((len(tile.caption) for tile in tiles), default=0)
    rows = max((tile.row for tile in tiles), default=-1) + 1
    step_x, step_y = TILE + GAP, TILE + lines * LINE + GAP
    width = 2 * MARGIN + max(columns, 3) * step_x - GAP
    height = HEADER + MARGIN + rows * step_y
    canvas = np.full((height, width, 3), 255, np.uint8)
    with style.drawing(path, width / style.DPI, height / style.DPI, layout="none") as figure:
        figure.text(MARGIN / width, 1 - MARGIN / height, title, fontsize=10, va="top")
        for tile in tiles:
            left, top = MARGIN + tile.column * step_x, HEADER + tile.row * step_y
            canvas[top : top + TILE, left : left + TILE] = enlarged(tile.square)
            for number, (text, colour) in enumerate(tile.caption):
                baseline = top + TILE + (number + 1) * LINE - 3
                figure.text(
                    left / width, 1 - baseline / height, style.shorten(text, CAPTION_EMS),
                    fontsize=FONT_POINTS, color=colour,
                )  # fmt: skip
        figure.figimage(canvas, zorder=-1)


def enlarged(square: Square) -> Square:
    """Resize a square to the sheet's tile size."""
    image = Image.fromarray(np.ascontiguousarray(square))
    return np.asarray(image.resize((TILE, TILE), Image.Resampling.BICUBIC))


def duplicate_groups(groups: Sequence[Sequence[tuple[str, Square]]], path: Path, *, columns: int = 8) -> None:
    """Draw near-duplicate groups for review: each starts on a new row, large ones take several.

    Each member is (path label, square (S, S, 3) uint8).
    """
    tiles, row = [], 0
    for number, group in enumerate(groups):
        for place, (label, square) in enumerate(group):
            head = f"group {number + 1}: {len(group)} photos" if place == 0 else ""
            caption = [(head, style.VERMILION), *((text, style.INK) for text in split_label(label))]
            tiles.append(Tile(square, caption, place % columns, row + place // columns))
        row += -(-len(group) // columns)
    title = f"Groups of near-duplicate photos: {len(groups):,}"
    contact_sheet(tiles, path, title=title, columns=columns)


def split_label(label: str) -> tuple[str, str]:
    """Split a path into folder and file name, one line each."""
    folder, _, name = label.rpartition("/")
    return (folder, name) if folder else (name, "")


@dataclass(frozen=True)
class Mistake:
    """A wrongly classified photo: its square, both class names with their probabilities, its path."""

    square: Square
    truth: str
    prediction: str
    truth_probability: float
    prediction_probability: float
    name: str


def mistakes(found: Sequence[Mistake], path: Path, *, title: str, columns: int = 8) -> None:
    """Draw wrongly classified photos: ✗ what was said, ✓ what is true, with the probabilities."""
    tiles = []
    for number, m in enumerate(found):
        caption = [
            (f"✗ {m.prediction_probability:.0%} {m.prediction}", style.VERMILION),
            (f"✓ {m.truth_probability:.0%} {m.truth}", style.BLUE),
            (m.name, style.MUTED),
        ]
        tiles.append(Tile(m.square, caption, number % columns, number // columns))
    contact_sheet(tiles, path, title=title, columns=columns)
