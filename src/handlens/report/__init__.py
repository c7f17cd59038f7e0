"""One self-contained HTML page that tells the whole run: photos, models, mistakes, exports, gate, card."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from handlens import verdicts
from handlens.app import glyphs
from handlens.report import contents
from handlens.report.products import Products
from handlens.report.thumbs import encoded

FIRST_HAN = "\u2e80"  # letters from here on are those that a machine may have no font for


def write(out: Path) -> None:
    """Write the report on the project in the working folder to the file `out`.

    Raises `UserError` for a product of the pipeline that is missing, with the command that makes it.
    """
    rules, _ = verdicts.judge(Path("params.yaml"), Path("metrics"), Path("plots"), Path("dvc.lock"))
    page = render(contents.collect(Products(), rules))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")


def render(values: contents.Values) -> str:
    """Fill the template; the letters of Chinese names come with the page."""
    environment = Environment(
        loader=PackageLoader("handlens.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": "{:.1%}".format, "whole": "{:,}".format, "score": "{:.3f}".format}
    style = Markup(files("handlens.report").joinpath("page.css").read_text(encoding="utf-8"))
    template = environment.get_template("page.html")
    return template.render(**values, style=style, font=font(values))


def font(values: contents.Values) -> str:
    """Give a font of the Chinese letters in `values` as a data address; nothing when there are none."""
    letters = {letter for text in texts(values) for letter in text if letter >= FIRST_HAN}
    return encoded(glyphs.font_with(letters), "font/woff") if letters else ""


def texts(values: object) -> Iterator[str]:
    """Yield all texts inside nested values."""
    if isinstance(values, str):
        yield values
    elif isinstance(values, dict):
        for key, value in values.items():
            yield from texts(key)
            yield from texts(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from texts(value)
