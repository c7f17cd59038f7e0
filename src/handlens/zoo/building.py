"""Build a network by name, with fresh or pretrained weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from handlens.errors import UserError
from handlens.zoo import catalog, hub
from handlens.zoo.catalog import Architecture

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class LoadReport:
    """What `weights` brought: the number of tensors, the parameters that stayed new, the unused entries."""

    source: str
    loaded: int
    new: tuple[str, ...]
    unused: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """How a network came to be; kept beside it, outside its state dict."""

    card: Architecture
    head: tuple[str, ...]
    report: LoadReport | None


def build(name: str, num_classes: int, *, weights: str | None = None, **options: Any) -> nn.Module:
    """Build `name` for `num_classes`.

    `weights` is None (fresh, drawn from torch's global generator), `imagenet` (the library's own
    loader and its cache) or the path of a .safetensors checkpoint of the same network. With weights the
    head is new (Xavier uniform, zero bias); see `load_report`. Raises `UserError` for an unknown name or
    option, weights that cannot be had, and a checkpoint that does not fit.
    """
    card = catalog.describe(name)
    catalog.check_options(name, options)
    network = construct(card, num_classes, options)
    head = head_of(name, options)
    report = None
    if weights == "imagenet":
        report = load_imagenet(network, name, options, head)
    elif weights is not None:
        state = read_checkpoint(Path(weights))
        report = load_body(network, state, head, weights)
    vars(network)["origin"] = Origin(card, head, report)
    return network


def construct(card: Architecture, num_classes: int, options: Mapping[str, Any]) -> nn.Module:
    """Call the card's builder with the variant's arguments and the user's options."""
    module, function = card.builder.split(":")
    builder = getattr(import_module(f"handlens.zoo.{module}"), function)
    network: nn.Module = builder(num_classes, **card.arguments, **options)
    return network


def origin(model: nn.Module) -> Origin:
    """Return how a network of the zoo came to be."""
    found: Origin = vars(model)["origin"]
    return found


def load_report(model: nn.Module) -> LoadReport | None:
    """Return what the pretrained weights brought, None for a fresh network."""
    return origin(model).report


def head_parameter_names(model: nn.Module) -> list[str]:
    """List the parameters of the head: those whose shape depends on the number of classes."""
    head = origin(model).head
    return [name for name, _ in model.named_parameters() if belongs(name, head)]


def head_of(name: str, options: Mapping[str, object]) -> tuple[str, ...]:
    """Return the prefixes of the head's parameters."""
    inner = catalog.nested(name, options)
    if inner is None:
        return catalog.describe(name).head
    return tuple(f"{inner[0]}.{prefix}" for prefix in catalog.describe(inner[1]).head)


def belongs(name: str, prefixes: tuple[str, ...]) -> bool:
    """Tell whether a parameter lies under one of the module names."""
    return any(name.startswith(prefix + ".") for prefix in prefixes)


def load_imagenet(
    network: nn.Module, name: str, options: Mapping[str, object], head: tuple[str, ...]
) -> LoadReport:
    """Load the library's ImageNet weights; a network that holds another one passes them to it."""
    inner = catalog.nested(name, options)
    if inner is not None:
        key, inside = inner
        part = network.get_submodule(key)
        report = load_imagenet(part, inside, {}, catalog.describe(inside).head)
        outside = [n for n, _ in network.named_parameters() if not n.startswith(key + ".")]
        new = (*outside, *(f"{key}.{parameter}" for parameter in report.new))
        return LoadReport(report.source, report.loaded, new, report.unused)
    card = catalog.describe(name)
    if not card.imagenet:
        have = [other for other in catalog.names() if catalog.describe(other).pretrained]
        raise UserError(
            f"{name} has no ImageNet weights. Set weights to null to train from scratch, or to the path "
            f"of a .safetensors file. With ImageNet weights there are: {', '.join(have)}."
        )
    changed = [key for key, value in options.items() if value != card.options[key].default]
    if changed:
        raise UserError(
            f"{name}: the ImageNet weights belong to {changed[0]} {card.options[changed[0]].default}, "
            f"not to {options[changed[0]]}. Leave the option out, or set weights to null."
        )
    return load_body(network, hub.imagenet_state(card.imagenet), head, card.imagenet)


def read_checkpoint(path: Path) -> State:
    """Read a .safetensors file; other formats could run code when loaded and are refused."""
    if path.suffix != ".safetensors":
        raise UserError(
            f"weights is {str(path)!r}, expected imagenet, null or a path ending in .safetensors. Convert a "
            "checkpoint that you trust with safetensors.torch.save_file(model.state_dict(), path)."
        )
    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError(f"weights: {path} does not exist (looked from {Path.cwd()}).") from None
    except SafetensorError as error:
        raise UserError(f"weights: {path} is not a whole .safetensors file ({error}).") from None


def load_body(network: nn.Module, state: State, head: tuple[str, ...], source: str) -> LoadReport:
    """Load everything but the head, which is made new; any other difference is a `UserError`."""
    own = network.state_dict()
    body = {name: value for name, value in state.items() if not belongs(name, head)}
    wanted = {name for name in own if not belongs(name, head)}
    optional = {name for name in wanted if name.endswith("num_batches_tracked")}  # old checkpoints
    missing = sorted(wanted - optional - body.keys())
    unexpected = sorted(body.keys() - wanted)
    shapes = sorted(
        f"{name} {tuple(own[name].shape)} against {tuple(body[name].shape)}"
        for name in wanted & body.keys()
        if own[name].shape != body[name].shape
    )
    if missing or unexpected or shapes:
        raise UserError(mismatch(source, missing, unexpected, shapes))
    network.load_state_dict(body, strict=False)
    new = renew(network, head)
    unused = tuple(sorted(state.keys() - body.keys()))
    return LoadReport(source, len(body), new, unused)


def mismatch(source: str, missing: list[str], unexpected: list[str], shapes: list[str]) -> str:
    """Say how a checkpoint and a network differ, both sides."""
    sides = [
        f"{len(lines)} {what}: {', '.join(lines[:5])}{', ...' if len(lines) > 5 else ''}"
        for what, lines in (
            ("only in the network", missing),
            ("only in the checkpoint", unexpected),
            ("of another shape (network against checkpoint)", shapes),
        )
        if lines
    ]
    return (
        f"weights: {source} does not fit the network ({'; '.join(sides)}). "
        "Choose the architecture and options that the checkpoint was made with."
    )


def renew(network: nn.Module, head: tuple[str, ...]) -> tuple[str, ...]:
    """Initialise the head: Xavier uniform weights, zero biases. Returns its parameters' names."""
    new = []
    for name, parameter in network.named_parameters():
        if belongs(name, head):
            new.append(name)
            nn.init.xavier_uniform_(parameter) if parameter.dim() > 1 else nn.init.zeros_(parameter)
    return tuple(new)
