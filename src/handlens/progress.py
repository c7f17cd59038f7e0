"""Show a training on standard error: a bar with photos per second and time left, a line per epoch."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from handlens.resume import Start
from handlens.training import Epoch, Step

SMOOTHING = 0.05  # weight of the newest step in the running mean of the speed


class TrainingProgress:
    """The display of one training; without a terminal only the lines of the epochs are written."""

    def __init__(self, model: str, epochs: int, *, shown: bool = True) -> None:
        self.model, self.epochs = model, epochs
        self.console = Console(stderr=True, quiet=not shown, highlight=False)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[speed]:.0f} photos/s,"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=self.console,
            transient=True,
            disable=not (shown and self.console.is_terminal),
        )
        self.task = self.bar.add_task(model, total=None, speed=0.0)
        self.last = time.monotonic()
        self.speed = 0.0

    def __enter__(self) -> "TrainingProgress":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def show(self, event: Start | Step | Epoch) -> None:
        """Show what just happened."""
        if isinstance(event, Start):
            self.begin(event)
        elif isinstance(event, Step):
            self.step(event)
        else:
            self.epoch(event)
        self.last = time.monotonic()

    def begin(self, start: Start) -> None:
        """Say where the training begins."""
        if start.discarded:
            self.line("discards an unfinished training of other parameters, data or code")
        if start.epoch or start.step:
            self.line(f"goes on after step {start.step} of epoch {start.epoch + 1}")

    def step(self, step: Step) -> None:
        """Move the bar."""
        now = step.photos / max(1e-9, time.monotonic() - self.last)
        self.speed = now if self.speed == 0 else self.speed + SMOOTHING * (now - self.speed)
        self.bar.update(
            self.task,
            total=self.epochs * step.steps,
            completed=(step.epoch - 1) * step.steps + step.step,
            description=f"{self.model} epoch {step.epoch}/{self.epochs}",
            speed=self.speed,
        )

    def epoch(self, epoch: Epoch) -> None:
        """Write the epoch's line."""
        best = " (best)" if epoch.best else ""
        self.line(
            f"epoch {epoch.epoch}/{self.epochs}: "
            f"training loss {epoch.train_loss:.4f}, accuracy {epoch.train_accuracy:.4f}; "
            f"validation loss {epoch.val_loss:.4f}, accuracy {epoch.val_accuracy:.4f}{best}; "
            f"{self.speed:.0f} photos/s, {epoch.seconds:.1f} s"
        )

    def line(self, text: str) -> None:
        """Write a line above the bar."""
        self.console.print(f"{self.model} {text}", markup=False, soft_wrap=True)
