"""What `handlens zoo` shows: the cards as rows, without building a network."""

import textwrap
from typing import Any

from handlens.zoo import catalog
from handlens.zoo.catalog import Architecture

COLUMNS = {
    "name": "name",
    "family": "family",
    "params": "params",
    "macs": "MACs",
    "paper_size": "at px",
    "params_paper": "params*",
    "macs_paper": "MACs*",
    "top1_paper": "top-1 %*",
    "min_size": "min px",
    "library": "library",
    "pretrained": "weights",
}
NUMBERS = ("params", "macs", "paper_size", "min_size")


def row(card: Architecture) -> dict[str, Any]:
    """Return a card as plain values. Counts are for 1000 classes at `paper_size` px."""
    return {
        "name": card.name,
        "family": card.family,
        "weight": card.weight,
        "params": card.params,
        "macs": card.macs,
        "paper_size": card.paper_size,
        "paper": card.paper,
        "year": card.year,
        "idea": card.idea,
        "params_paper": card.params_paper,
        "macs_paper": card.macs_paper,
        "top1_paper": card.top1_paper,
        "library": card.library,
        "min_size": catalog.min_size(card.name),
        "pretrained": list(card.pretrained),
        "options": {
            key: {
                "default": option.default,
                "expected": option.expected(),
                "meaning": option.meaning,
            }
            for key, option in card.options.items()
        },
        "deviations": list(card.deviations),
    }


def rows() -> list[dict[str, Any]]:
    """List all architectures as plain values, in the order of the article."""
    return [row(catalog.describe(name)) for name in catalog.names()]


def table() -> str:
    """Lay out all architectures as text, one line each."""
    cells = [list(COLUMNS.values())]
    for values in rows():
        values["pretrained"] = " ".join(values["pretrained"]) or "-"
        values["macs"] = f"{values['macs'] / 1e6:,.0f}M"
        values["params"] = f"{values['params'] / 1e6:.2f}M"
        cells.append([str(values[key]) for key in COLUMNS])
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    lines = []
    for line in cells:
        padded = [
            cell.rjust(width) if key in NUMBERS else cell.ljust(width)
            for cell, width, key in zip(line, widths, COLUMNS, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    notes = "* as published. Counts are for 1000 classes. 'handlens zoo NAME' tells more about one."
    return "\n".join([*lines, "", notes])


def details(name: str) -> str:
    """Lay out one card as text; an unknown name is a `UserError`."""
    card = catalog.describe(name)
    lines = [
        f"{card.name}: {card.idea}",
        f"  paper       {card.paper} ({card.year})",
        f"  counted     {card.params:,} parameters, {card.macs:,} MACs at {card.paper_size} px, 1000 classes",
        f"  published   {card.params_paper} parameters, {card.macs_paper} MACs, top-1 {card.top1_paper}",
        f"  library     {card.library}; weights: {', '.join(card.pretrained) or 'none'}",
        f"  input       at least {catalog.min_size(name)} px",
    ]
    for key, option in card.options.items():
        default = str(option.default).lower()
        lines.append(f"  option      {key}: {default} ({option.expected()}): {option.meaning}")
    for deviation in card.deviations:
        lines += textwrap.wrap(
            f"  deviation   {deviation}", width=100, subsequent_indent=" " * 14, drop_whitespace=True
        )
    return "\n".join(lines)
