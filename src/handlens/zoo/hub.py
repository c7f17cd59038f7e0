"""ImageNet weights through torchvision's and timm's own loaders, and their caches."""

import os
import pickle
from pathlib import Path
from urllib.parse import urlparse

import timm
import torch
import torchvision
from huggingface_hub import try_to_load_from_cache
from torch import Tensor

from handlens.errors import UserError

# what the loaders raise for a hub out of reach (OSError), a wrong hash, and a file that is not a checkpoint
BROKEN = (OSError, RuntimeError, EOFError, LookupError, ValueError, pickle.UnpicklingError)


def imagenet_state(source: str) -> dict[str, Tensor]:
    """Fetch the state dict of `torchvision:NAME` or `timm:NAME` for 1000 classes.

    Raises `UserError` if it is neither cached nor reachable, saying which file to place where.
    """
    library, name = source.split(":")
    return torchvision_state(name) if library == "torchvision" else timm_state(name)


def cached_file(source: str) -> Path:
    """Fetch as `imagenet_state` does, and return where the file lies."""
    imagenet_state(source)
    library, name = source.split(":")
    if library == "torchvision":
        return place(torchvision.models.get_model_weights(name).IMAGENET1K_V1.url)
    config = timm.models.get_pretrained_cfg(name)
    found = try_to_load_from_cache(config.hf_hub_id or "", "model.safetensors")
    return Path(found) if isinstance(found, str) else place(config.url or "model.safetensors")


def place(url: str) -> Path:
    """Return where torch keeps the file of `url`."""
    return cache_folder() / Path(urlparse(url).path).name


def torchvision_state(name: str) -> dict[str, Tensor]:
    """Load IMAGENET1K_V1, the weights of torchvision's original recipe."""
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except BROKEN as error:
        raise UserError(unreachable(f"torchvision's {name}", by_url(weights.url), error)) from None
    return state


def timm_state(name: str) -> dict[str, Tensor]:
    """Load timm's default ImageNet weights of `name`."""
    config = timm.models.get_pretrained_cfg(name)
    try:
        state: dict[str, Tensor] = timm.create_model(name, pretrained=True).state_dict()
    except BROKEN as error:
        way = by_url(config.url) if config.url else by_path(config.hf_hub_id)
        raise UserError(unreachable(f"timm's {name}", way, error)) from None
    return state


def cache_folder() -> Path:
    """Return where torch keeps downloaded checkpoints: $TORCH_HOME/hub/checkpoints."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def by_url(url: str) -> str:
    """Say where torch would find a downloaded file."""
    home = os.environ.get("TORCH_HOME")
    said = f"TORCH_HOME is {home}" if home else "TORCH_HOME is not set"
    return f"download {url} elsewhere and place it at {place(url)} ({said})"


def by_path(hub_id: str) -> str:
    """Say how to use a file of a Hugging Face repository."""
    url = f"https://huggingface.co/{hub_id}/resolve/main/model.safetensors"
    return f"download {url} elsewhere and set weights to that file's path"


def unreachable(what: str, way: str, error: Exception) -> str:
    """Say why weights could not be loaded and which file to place where."""
    return (
        f"the ImageNet weights of {what} could not be loaded ({str(error).splitlines()[0]}). Connect to the "
        f"internet, or {way}. A cached file that is broken must be removed first."
    )
