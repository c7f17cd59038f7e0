"""What is known about every architecture without building it, and without importing torch.

A card says which paper a network comes from, what the paper published, what our network counts, where it
deviates and which options a recipe may set. The `check` stage reads cards only, so it stays fast.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from handlens.errors import UserError

LIGHT, MEDIUM = 600_000_000, 4_500_000_000  # MACs up to which a network is called light, medium


@dataclass(frozen=True)
class Option:
    """A keyword of a network, as `options:` of a recipe may set it.

    Allowed are the `choices`, or numbers from `low` to `high`. With `nested` the value names another
    architecture, which the network holds as a submodule under the option's name.
    """

    default: bool | int | float | str
    meaning: str
    choices: tuple[bool | int | float | str, ...] = ()
    low: float = 0
    high: float = 0
    nested: bool = False

    def expected(self) -> str:
        """Say in words which values are allowed."""
        if self.nested:
            return "the name of an architecture"
        if self.choices:
            return "one of " + ", ".join(str(choice).lower() for choice in self.choices)
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def accepts(self, value: object) -> bool:
        """Tell whether `value` has the default's type (a whole number may stand for a float) and range."""
        wanted = (int, float) if isinstance(self.default, float) else type(self.default)
        if not isinstance(value, wanted) or isinstance(value, bool) != isinstance(self.default, bool):
            return False
        if self.nested:
            return True
        if self.choices:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class Architecture:
    """A card. Counts are for 1000 classes at `paper_size`; figures of the paper are quoted as text.

    `builder` is `module:function` inside `handlens.zoo`, called with `num_classes`, the `arguments` of
    this variant and the user's options. `head` are the prefixes of the parameters that depend on the
    number of classes; `training_only` are those that inference does not use (auxiliary heads).
    `imagenet` is `library:name` of the pretrained weights, empty if there are none.
    """

    name: str
    family: str
    paper: str
    year: int
    idea: str
    builder: str
    head: tuple[str, ...]
    library: str
    params: int
    macs: int
    paper_size: int = 224
    params_paper: str = "-"
    macs_paper: str = "-"
    top1_paper: str = "-"
    min_size: int = 32
    imagenet: str = ""
    deviations: tuple[str, ...] = ()
    training_only: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Option] = field(default_factory=dict)

    @property
    def pretrained(self) -> tuple[str, ...]:
        """Names that `weights` understands, besides a path."""
        nested = any(option.nested for option in self.options.values())
        return ("imagenet",) if self.imagenet or nested else ()

    @property
    def weight(self) -> str:
        """`light`, `medium` or `heavy`, by MACs at the paper's input."""
        return "light" if self.macs <= LIGHT else "medium" if self.macs <= MEDIUM else "heavy"


_CARDS: dict[str, Architecture] = {}


def register(card: Architecture) -> None:
    """Add a card; a taken name is an error."""
    if card.name in _CARDS:
        raise ValueError(f"an architecture named {card.name!r} is registered already")
    _CARDS[card.name] = card


def names() -> list[str]:
    """List all architectures, in the order of the article."""
    return list(_CARDS)


def describe(name: str) -> Architecture:
    """Return the card of `name`; an unknown name is a `UserError`."""
    if name not in _CARDS:
        raise UserError(f"{name!r} is not an architecture{nearest(name, names())} 'handlens zoo' lists all.")
    return _CARDS[name]


def check_options(name: str, options: Mapping[str, object]) -> None:
    """Refuse options that `name` does not have, and values that it does not take."""
    known = describe(name).options
    for key, value in options.items():
        if key not in known:
            listed = nearest(key, list(known)) if known else "; it has none."
            raise UserError(f"{name} has no option {key!r}{listed} See 'handlens zoo {name}'.")
        if not known[key].accepts(value):
            raise UserError(f"{name}: option {key} is {value!r}, expected {known[key].expected()}.")
        if known[key].nested:
            check_nested(name, key, str(value))


def check_nested(name: str, key: str, inner: str) -> None:
    """Refuse an unknown inner network, and one that holds a network itself."""
    if any(option.nested for option in describe(inner).options.values()):
        raise UserError(f"{name}: option {key} cannot be {inner}, which holds a network itself.")


def nested(name: str, options: Mapping[str, object]) -> tuple[str, str] | None:
    """Return (option, inner architecture) of a network that holds another one, else None."""
    for key, option in describe(name).options.items():
        if option.nested:
            return key, str(options.get(key, option.default))
    return None


def min_size(name: str, options: Mapping[str, object] | None = None) -> int:
    """Return the smallest input side in px; an inner network counts too."""
    inner = nested(name, options or {})
    own = describe(name).min_size
    return max(own, describe(inner[1]).min_size) if inner else own


def require_size(name: str, input_size: int, options: Mapping[str, object] | None = None) -> None:
    """Refuse an input side (px) below the network's minimum."""
    smallest = min_size(name, options)
    if input_size < smallest:
        raise UserError(
            f"{name} needs photos of at least {smallest} px, but input_size is {input_size}. "
            f"Set input_size to {smallest} or more, or choose another architecture."
        )


def nearest(word: str, known: list[str]) -> str:
    """Suggest the nearest known word, or list them when none is near."""
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}."
