"""Assemble a training from a recipe: the one place where its keys become objects."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from handlens import optim, zoo
from handlens.augmentation import Augment, Mix
from handlens.batches import Crops, Integers, Rows, TrainingBatches, rows_of
from handlens.contract import Contract
from handlens.distillation import Teacher
from handlens.distributed import Processes
from handlens.errors import UserError
from handlens.pixels import PixelStore
from handlens.preprocessing import Preprocess
from handlens.recipe import Recipe
from handlens.training import Trainer, WithLoss


def trainer(
    recipe: Recipe,
    table: pd.DataFrame,
    contract: Contract,
    store: PixelStore,
    *,
    seed: int,
    processes: Processes,
    compiled: bool = False,
    network: nn.Module | None = None,
    teacher: Teacher | None = None,
) -> Trainer:
    """Assemble the training of `recipe`, at its start.

    `table` is the split table; its test rows are not looked at. `compiled` puts the network through
    torch.compile; a `network` on the device of `processes` is trained further instead of a new one; with a
    `teacher` it also learns from that one's answers. Raises `UserError` for what does not fit together.
    """
    train, val = (rows_of(table, side, contract.classes) for side in ("train", "val"))
    batches = training_batches(recipe, train, store, seed, processes)
    if network is None:
        network = new_network(recipe, contract, seed, processes)
    head = frozenset(zoo.head_parameter_names(network))
    if recipe.sync_bn and processes.world > 1:
        network = with_synchronised_norms(network, processes.device)
    weights = class_weights(train.labels, len(contract.classes)) if recipe.class_weighting == "loss" else None
    average = None if recipe.ema is None else optim.MovingAverage(network, recipe.ema)
    return Trainer(
        network=network,
        with_loss=WithLoss(network, weights, recipe.label_smoothing, teacher).to(processes.device),
        head=head,
        batches=batches,
        val=val,
        augment=augmentation(recipe, contract).to(processes.device),
        mix=Mix(len(contract.classes), mixup=recipe.mixup, cutmix=recipe.cutmix),
        preprocess=Preprocess(contract).to(processes.device),
        optimizer=optimizer(recipe, network, head),
        lr_factor=partial(
            optim.lr_factor,
            steps=recipe.epochs * batches.steps,
            schedule=recipe.schedule,
            warmup_steps=round(recipe.warmup_epochs * batches.steps),
        ),
        processes=processes,
        average=average,
        half=half_precision(recipe.precision, processes.device),
        compiled=compiled,
        epochs=recipe.epochs,
        freeze_epochs=recipe.freeze_epochs,
        accumulate=recipe.accumulate,
        clip_norm=recipe.clip_norm,
        monitor=recipe.monitor,
        patience=recipe.patience,
    )


def new_network(recipe: Recipe, contract: Contract, seed: int, processes: Processes) -> nn.Module:
    """Build the network, the same in every process, in the memory layout that convolutions like best."""
    zoo.require_size(recipe.arch, contract.input_size, recipe.options)
    torch.manual_seed(seed)
    network = zoo.build(recipe.arch, len(contract.classes), weights=recipe.weights, **recipe.options)
    return network.to(processes.device).to(memory_format=torch.channels_last)


def training_batches(
    recipe: Recipe, rows: Rows, store: PixelStore, seed: int, processes: Processes
) -> TrainingBatches:
    """Choose this process's parts of every step."""
    augment = recipe.augment
    first = processes.rank * recipe.accumulate
    return TrainingBatches(
        store,
        rows,
        Crops(augment.crop_scale, augment.crop_ratio, augment.hflip, augment.vflip),
        seed=seed,
        batch_size=recipe.batch_size,
        balanced=recipe.class_weighting == "sampler",
        parts=recipe.accumulate * processes.world,
        mine=range(first, first + recipe.accumulate),
        device=processes.device,
    )


def augmentation(recipe: Recipe, contract: Contract) -> Augment:
    """Make what changes training batches on the device."""
    return Augment(
        contract,
        crop_scale=recipe.augment.crop_scale,
        color_jitter=recipe.augment.color_jitter,
        policy=recipe.augment.policy,
        erasing=recipe.augment.erasing,
    )


def optimizer(recipe: Recipe, network: nn.Module, head: frozenset[str]) -> torch.optim.Optimizer:
    """Make the optimizer."""
    return optim.build(
        network,
        head,
        optimizer=recipe.optimizer,
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        head_lr_mult=recipe.head_lr_mult,
        layer_decay=recipe.layer_decay,
    )


def class_weights(labels: Integers, num_classes: int) -> Tensor:
    """Weigh classes by their inverse count such that the mean weight of a photo is 1. Gives (classes,)."""
    counts = np.bincount(labels, minlength=num_classes)
    return torch.tensor(len(labels) / (num_classes * np.maximum(counts, 1)), dtype=torch.float32)


def with_synchronised_norms(network: nn.Module, device: torch.device) -> nn.Module:
    """Let batch norms see the batch of all processes; PyTorch has this for GPUs only."""
    if device.type != "cuda":
        raise UserError("sync_bn is true, but these processes train on CPUs. Set sync_bn to false.")
    convert: Callable[[nn.Module], nn.Module] = nn.SyncBatchNorm.convert_sync_batchnorm
    return convert(network)


def half_precision(precision: str, device: torch.device) -> torch.dtype | None:
    """Choose the type for autocast; None for float32 throughout."""
    if precision == "bfloat16":
        return torch.bfloat16
    if precision == "float32" or device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
