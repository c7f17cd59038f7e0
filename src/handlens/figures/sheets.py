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
class Guess:
    """A photo and what a model says of it: the predicted class against a rival, with their probabilities.

    `heat` (h, w) uint8 shows where on the square the evidence lies.
    """

    square: Square
    prediction: str
    prediction_probability: float
    rival: str
    rival_probability: float
    right: bool
    name: str
    heat: NDArray[np.uint8] | None = None


def guesses(found: Sequence[Guess], path: Path, *, title: str, columns: int = 8) -> None:
    """Draw photos with their prediction, ✗ wrong or ✓ right, and its rival, which ✓ marks if it is true.

    A photo with heat stands beside itself under its heat.
    """
    tiles, place = [], 0
    for guess in found:
        column, row = place % columns, place // columns
        said = f"{guess.prediction_probability:.0%} {guess.prediction}"
        rival = f"{guess.rival_probability:.0%} {guess.rival}"
        caption = [
            (f"✓ {said}", style.BLUE) if guess.right else (f"✗ {said}", style.VERMILION),
            (f"then {rival}", style.MUTED) if guess.right else (f"✓ {rival}", style.BLUE),
            (guess.name, style.MUTED),
        ]
        tiles.append(Tile(guess.square, caption, column, row))
        if guess.heat is not None:
            tiles.append(Tile(heated(enlarged(guess.square), guess.heat), (), column + 1, row))
        place += 1 if guess.heat is None else 2
    contact_sheet(tiles, path, title=title, columns=columns)


def heated(square: Square, heat: NDArray[np.uint8]) -> Square:
    """Lay heat (h, w) over a square (S, S, 3): the hotter, the more of the glow and the less of the photo."""
    size = square.shape[:2]
    glow = Image.fromarray(style.glow(heat)).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    photo = Image.fromarray(np.ascontiguousarray(square)).convert("RGBA")
    return np.asarray(Image.alpha_composite(photo, glow).convert("RGB"))


@dataclass(frozen=True)
class Suspect:
    """A photo whose label is suspect: label and prediction with their probabilities, its file's name."""

    square: Square
    label: str
    label_probability: float
    prediction: str
    prediction_probability: float
    name: str


def suspects(found: Sequence[Suspect], path: Path, *, title: str, columns: int = 8) -> None:
    """Draw photos whose label is suspect: the class that it lies in, then the one that it looks like."""
    tiles = []
    for number, suspect in enumerate(found):
        caption = [
            (f"in {suspect.label_probability:.0%} {suspect.label}", style.VERMILION),
            (f"like {suspect.prediction_probability:.0%} {suspect.prediction}", style.BLUE),
            (suspect.name, style.MUTED),
        ]
        tiles.append(Tile(suspect.square, caption, number % columns, number // columns))
    contact_sheet(tiles, path, title=title, columns=columns)
