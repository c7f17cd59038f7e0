"""A small font with just the Chinese letters of the page, for devices that have none."""

import io
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from fontTools.subset import Options, Subsetter, load_font, save_font

FONT_FILE = "fonts/NotoSansCJKsc-Regular.otf"  # inside the package mplfonts


def font_with(texts: Iterable[str]) -> bytes:
    """Cut the packaged Noto Sans CJK SC (SIL Open Font License) down to the letters of `texts`, as WOFF."""
    package = find_spec("mplfonts")
    assert package is not None, "mplfonts is a requirement of handlens"
    assert package.submodule_search_locations is not None
    options = Options()
    options.flavor = "woff"
    options.recalc_timestamp = False  # the same letters give the same bytes
    options.layout_features = []
    options.desubroutinize = True
    options.hinting = False
    options.name_IDs = [0, 1, 2, 13, 14]  # copyright and licence stay inside
    subsetter = Subsetter(options)
    subsetter.populate(text="".join(sorted(set().union(*texts))))
    content = io.BytesIO()
    with load_font(str(Path(package.submodule_search_locations[0]) / FONT_FILE), options) as font:
        subsetter.subset(font)
        save_font(font, content, options)
    return content.getvalue()
