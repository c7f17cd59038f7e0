"""The training loop: exact numbers, one epoch record after the other, at the speed of the network.

`Trainer.run` yields a `Step` after every step of the optimizer and an `Epoch` after every epoch; the
caller shows and records them, and may take a snapshot at any of them to go on later from there
(`handlens.resume`).

Losses are plain cross-entropies, without label smoothing, class weights, auxiliary heads or a teacher's
answers, so that recipes compare. Losses and accuracies are sums over photos, divided once. Those of
training are measured on the augmented batches, in training mode, while the weights change; those of
validation on plain photos after the epoch.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parallel import DistributedDataParallel

from handlens import optim, zoo
from handlens.augmentation import Augment, Mix
from handlens.batches import Part, Rows, TrainingBatches, plain_batches
from handlens.distillation import Teacher
from handlens.distributed import Processes
from handlens.errors import UserError
from handlens.preprocessing import Preprocess

CHECK_STEPS = 20  # steps between looks at the loss on a GPU, since each look waits for it
DIVERGED = "Lower the recipe's lr, lengthen warmup_epochs, or set clip_norm, such as to 1.0."

Monitor = Literal["val_accuracy", "val_macro_f1", "val_loss"]


@dataclass(frozen=True)
class Step:
    """One step of the optimizer, counted from 1; `photos` of all devices together."""

    epoch: int
    step: int
    steps: int
    photos: int


@dataclass(frozen=True)
class Epoch:
    """One finished epoch, counted from 1. `best`: better by the monitor than all before it."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    val_macro_f1: float
    best: bool
    seconds: float


@dataclass
class Position:
    """Where a training stands."""

    epoch: int = 0  # finished epochs
    step: int = 0  # finished steps of the running epoch
    loss: float = 0.0  # sum over the photos of the running epoch
    correct: float = 0.0
    seconds: float = 0.0  # spent on the running epoch
    history: list[Epoch] = field(default_factory=list)


class WithLoss(nn.Module):
    """A network and its loss in one forward pass, as DistributedDataParallel and torch.compile need it."""

    weight: Tensor | None

    def __init__(
        self, network: nn.Module, weight: Tensor | None, label_smoothing: float, teacher: Teacher | None
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("weight", weight, persistent=False)
        self.label_smoothing = label_smoothing
        self.teacher = teacher  # no module: its weights are neither trained nor shared between processes

    def forward(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Give logits (N, classes) and the loss to minimise, a mean over the photos."""

        answers = None if self.teacher is None else self.teacher.answers(images)

        def criterion(logits: Tensor) -> Tensor:
            loss = F.cross_entropy(
                logits.float(), targets, self.weight, reduction="none", label_smoothing=self.label_smoothing
            ).mean()
            if self.teacher is None or answers is None:
                return loss
            return self.teacher.loss(logits, answers, loss)

        return zoo.training_loss(self.network, images, criterion)


@dataclass
class Trainer:
    """One training: its network, data and optimizer, and where it stands. Built by `assembly.trainer`.

    `lr_factor` gives the share of the highest learning rate for a step counted from the start. `half` is
    the type for autocast, None for none. `average` holds the moving average of the weights, which is then
    what is validated and kept.
    """

    network: nn.Module
    with_loss: WithLoss
    head: frozenset[str]
    batches: TrainingBatches
    val: Rows
    augment: Augment
    mix: Mix
    preprocess: Preprocess
    optimizer: torch.optim.Optimizer
    lr_factor: Callable[[int], float]
    processes: Processes
    average: optim.MovingAverage | None
    half: torch.dtype | None
    compiled: bool
    epochs: int
    freeze_epochs: int
    accumulate: int
    clip_norm: float | None
    monitor: Monitor
    patience: int | None
    at: Position = field(default_factory=Position)
    best: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.device = self.processes.device
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.half == torch.float16)
        self.sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        self.unseen: list[tuple[int, Tensor]] = []

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the last `patience` of them brought nothing better."""
        if self.at.epoch == self.epochs:
            return True
        if self.patience is None or not self.at.history:
            return False
        return self.at.epoch - self.best_epoch.epoch >= self.patience

    @property
    def best_epoch(self) -> Epoch:
        """The epoch whose weights are kept."""
        return next(epoch for epoch in reversed(self.at.history) if epoch.best)

    def run(self) -> Iterator[Step | Epoch]:
        """Train to the end from where it stands. A loss that is not finite is a `UserError`."""
        with deterministic(self.device):
            while not self.finished:
                yield from self.train_epoch()
                yield self.end_epoch()

    def best_network(self) -> nn.Module:
        """Put the best epoch's weights into the network and return it in eval mode."""
        self.network.load_state_dict(self.best)
        return self.network.eval()

    def train_epoch(self) -> Iterator[Step]:
        """Take the steps of the running epoch that are left."""
        frozen = self.at.epoch < self.freeze_epochs
        freeze(self.network, self.head, frozen)
        model = self.wrapped()
        photos = len(self.batches.rows)
        steps = self.batches.steps
        parts = self.batches.epoch(self.at.epoch, self.at.step)
        self.sums = torch.tensor([self.at.loss, self.at.correct], dtype=torch.float64, device=self.device)
        set_training_mode(self.network, self.head, frozen)
        for step in range(self.at.step, steps):
            started = time.monotonic()
            passed = self.at.epoch * steps + step
            optim.set_lr(self.optimizer, self.lr_factor(passed))
            self.watch(step, self.train_step(model, parts))
            if self.average is not None:
                self.average.update(self.network, passed)
            self.at.step = step + 1
            self.at.seconds += time.monotonic() - started
            yield Step(self.at.epoch + 1, step + 1, steps, photos // steps + (step < photos % steps))

    def wrapped(self) -> nn.Module:
        """Wrap network and loss for what this training uses: several processes, torch.compile."""
        model: nn.Module = self.with_loss
        if self.compiled:
            model = torch.compile(model)  # type: ignore[assignment]
        return DistributedDataParallel(model) if self.processes.world > 1 else model

    def train_step(self, model: nn.Module, parts: Iterator[Part]) -> Tensor:
        """Take one step; give its (sum of losses, correct photos) over all processes."""
        self.optimizer.zero_grad()
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        for left in reversed(range(self.accumulate)):
            with gradients_stay_here(model) if left else nullcontext():
                sums += self.train_part(model, next(parts))
        if self.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return self.processes.total(sums)

    def train_part(self, model: nn.Module, part: Part) -> Tensor:
        """Add the gradient of one part; give its (sum of losses, correct photos)."""
        seed_generators(self.device, part.seed)
        images, targets = self.mix(self.augment(part.pixels, part.crops), part.labels)
        with self.autocast():
            logits, loss = model(images, targets)
        # DistributedDataParallel averages over processes; the shares make it the mean over the step's photos
        self.scaler.scale(loss * (part.share * self.processes.world)).backward()
        logits = logits.detach().float()
        labels = targets.argmax(1) if targets.ndim == 2 else targets
        loss_sum = F.cross_entropy(logits, targets, reduction="sum")
        return torch.stack([loss_sum.double(), (logits.argmax(1) == labels).sum().double()])

    def autocast(self) -> AbstractContextManager[None]:
        """Compute in half precision where this training does."""
        return nullcontext() if self.half is None else torch.autocast(self.device.type, dtype=self.half)

    def watch(self, step: int, sums: Tensor) -> None:
        """Add a step's sums, and look at them now and then."""
        self.sums += sums
        self.unseen.append((step, sums[0]))
        if self.device.type == "cpu" or len(self.unseen) == CHECK_STEPS:
            self.look()

    def look(self) -> None:
        """Refuse to go on when a loss since the last look was not finite."""
        for step, loss in self.unseen:
            if not math.isfinite(value := float(loss)):
                lr = max(group["max_lr"] for group in self.optimizer.param_groups)
                lr *= self.lr_factor(self.at.epoch * self.batches.steps + step)
                raise UserError(
                    f"the loss is {value} at step {step + 1} of epoch {self.at.epoch + 1} (learning rate "
                    f"{lr:.3g}). {DIVERGED}"
                )
        self.unseen.clear()

    def end_epoch(self) -> Epoch:
        """Validate, record the epoch and keep its weights if they are the best."""
        self.look()
        started = time.monotonic()
        val_loss, val_accuracy, val_macro_f1 = self.validate()
        train_loss, train_accuracy = (self.sums / len(self.batches.rows)).tolist()
        epoch = Epoch(
            epoch=self.at.epoch + 1,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            val_macro_f1=val_macro_f1,
            best=False,
            seconds=self.at.seconds + time.monotonic() - started,
        )
        reached = [score(earlier, self.monitor) for earlier in self.at.history]
        if not reached or score(epoch, self.monitor) > max(reached):
            epoch = replace(epoch, best=True)
            self.best = {name: value.detach().clone() for name, value in self.weights().items()}
        self.at = Position(epoch=epoch.epoch, history=[*self.at.history, epoch])
        return epoch

    def weights(self) -> dict[str, Tensor]:
        """Give what is validated and kept: the moving average where there is one, else the weights."""
        return optim.tensors_of(self.network) if self.average is None else self.average.tensors

    def validate(self) -> tuple[float, float, float]:
        """Give mean loss, accuracy and macro F1 on the validation photos, shared by the processes."""
        weights = self.weights()
        self.processes.from_first(
            [weights[name] for name, _ in self.network.named_buffers() if name in weights]
        )
        self.network.eval()
        mine = np.array_split(np.arange(len(self.val)), self.processes.world)[self.processes.rank]
        rows = self.val.take(mine)
        predicted = torch.zeros(len(self.val), dtype=torch.int64, device=self.device)
        loss = torch.zeros(1, dtype=torch.float64, device=self.device)
        size = max(1, self.batches.batch_size // self.accumulate)
        with torch.inference_mode():
            for which, pixels in plain_batches(self.batches.store, rows, size, self.device):
                images = self.preprocess(pixels).contiguous(memory_format=torch.channels_last)
                with self.autocast():
                    logits = functional_call(self.network, weights, (images,)).float()
                labels = torch.from_numpy(rows.labels[which]).to(self.device)
                loss += F.cross_entropy(logits, labels, reduction="sum").double()
                predicted[mine[which]] = logits.argmax(1)
        loss_sum = float(self.processes.total(loss))
        if not math.isfinite(loss_sum):
            raise UserError(
                f"the validation loss is {loss_sum} after epoch {self.at.epoch + 1}: the weights grew "
                f"without bound. {DIVERGED}"
            )
        guesses = self.processes.total(predicted).cpu().numpy()
        classes = range(logits.shape[1])
        macro_f1 = f1_score(self.val.labels, guesses, labels=classes, average="macro", zero_division=0)
        return loss_sum / len(self.val), float((guesses == self.val.labels).mean()), float(macro_f1)


def score(epoch: Epoch, monitor: Monitor) -> float:
    """Give the monitored number such that larger is better."""
    value: float = getattr(epoch, monitor)
    return -value if monitor == "val_loss" else value


def seed_generators(device: torch.device, seed: int) -> None:
    """Seed what draws on the processor and on `device`, without the time that torch.manual_seed takes."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def freeze(network: nn.Module, head: frozenset[str], frozen: bool) -> None:
    """Let only the head learn, or everything."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not frozen or name in head)


def set_training_mode(network: nn.Module, head: frozenset[str], frozen: bool) -> None:
    """Switch to training mode; norms of a frozen body keep using and keeping their own statistics."""
    network.train()
    if frozen:
        for name, module in network.named_modules():
            if hasattr(module, "running_mean") and f"{name}.weight" not in head:
                module.eval()


def gradients_stay_here(model: nn.Module) -> AbstractContextManager[None]:
    """Add gradients without sharing them with the other processes yet."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Use only operations that give the same bits twice, on the CPU; GPUs keep their fastest ones."""
    if device.type != "cpu":
        yield
        return
    settings: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    settings.fill_uninitialized_memory = (
        False  # costs time, and every value here is written before it is read
    )
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        settings.fill_uninitialized_memory = before[1]
