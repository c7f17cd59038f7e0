"""A trained model on disk: `weights.safetensors` and `model.json`, its card. Nothing is unpickled.

The card carries what is needed to use the model and to train it again: the architecture with its
options, the contract (class names, preprocessing), the recipe and seed, the scores of the best
epoch, and where it was trained (versions, commit, hardware). It holds no clock time: the same
commit trained twice on one machine gives the same two files.
"""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialized
from torch import Tensor, nn

from handlens import zoo
from handlens.contract import Contract
from handlens.errors import UserError

WEIGHTS = "weights.safetensors"
CARD = "model.json"
LIBRARIES = ("handlens", "torch", "torchvision", "timm", "numpy")


class Card(BaseModel):
    """What a model is and where it comes from; scores are `best_epoch`'s on validation photos."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    arch: str
    options: dict[str, Any]
    contract: Contract
    recipe: dict[str, Any]
    seed: int
    parameters: int
    epochs: int
    best_epoch: int
    val_accuracy: float
    val_macro_f1: float
    val_loss: float
    versions: dict[str, str]
    commit: str | None
    hardware: str


def save(folder: Path, network: nn.Module, card: Card) -> None:
    """Write both files into `folder`, each whole or not at all; leave other files there alone."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(network.state_dict(), folder / WEIGHTS)
    replace(folder / CARD, (card.model_dump_json(indent=2) + "\n").encode())


def write_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors, whole or not at all.

    The library's own writer reports a full disk as a fault of the format; ours is an `OSError` as anywhere.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    replace(path, serialized(plain, metadata))


def replace(path: Path, content: bytes) -> None:
    """Replace a file; after a power cut either the old or the new one is there, and no part of one."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def load(folder: Path, contract: Contract | None = None) -> tuple[nn.Module, Card]:
    """Build the network on the CPU in eval mode, and read its card.

    With `contract` the model's own must be the same. Files that are missing or broken, or that do
    not belong together, are a `UserError`.
    """
    card = load_card(folder)
    if contract is not None:
        card.contract.require_same(contract, str(folder / CARD), "data/contract.json")
    network = zoo.build(card.arch, len(card.contract.classes), weights=None, **card.options)
    tensors = read_tensors(folder / WEIGHTS)
    require_fitting(network, tensors, folder)
    network.load_state_dict(tensors)
    return network.eval(), card


def load_card(folder: Path) -> Card:
    """Read `model.json` of a model's folder."""
    path = folder / CARD
    try:
        return Card.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing. Run 'dvc repro' to train {folder.name}, or 'dvc pull'."
        ) from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a model card of handlens: {error}") from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file."""
    try:
        return dict(load_file(path))
    except FileNotFoundError:
        raise UserError(f"{path} is missing. Run 'dvc repro' to make it, or 'dvc pull'.") from None
    except SafetensorError as error:
        raise UserError(
            f"{path} is damaged ({error}). Fetch it again with 'dvc checkout --force {path}'."
        ) from None


def require_fitting(network: nn.Module, tensors: dict[str, Tensor], folder: Path) -> None:
    """Refuse weights whose names or shapes are not those of `network`."""
    want = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    have = {name: tuple(value.shape) for name, value in tensors.items()}
    if want != have:
        name = next(name for name in sorted(want | have) if want.get(name) != have.get(name))
        raise UserError(
            f"{folder / WEIGHTS} does not belong to {folder / CARD}: {name} is {have.get(name)}, "
            f"expected {want.get(name)}. Train the model again with 'dvc repro'."
        )


def count_parameters(network: nn.Module) -> int:
    """Count the trainable numbers of a network."""
    return sum(parameter.numel() for parameter in network.parameters())


def versions() -> dict[str, str]:
    """Name the versions that decide a training's numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def commit() -> str | None:
    """Name the Git commit of the working folder; None outside a repository or without Git."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return head.stdout.strip() if head.returncode == 0 else None


def hardware(device: torch.device) -> str:
    """Describe what a network is trained on, such as "cpu (x86_64, AVX512, 2 threads)"."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    capability, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return f"cpu ({platform.machine()}, {capability}, {threads} threads)"
