"""Show a scan on standard error: a bar in a terminal, a line now and then elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_SECONDS = 30.0


class ScanProgress:
    """The display of one scan."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.bar = Progress(
            TextColumn("scan"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("photos,"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("scan", total=None)
        self.next_line = time.monotonic() + LINE_SECONDS
        self.total = 0

    def __enter__(self) -> "ScanProgress":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def show(self, done: int, total: int) -> None:
        """Show that `done` of `total` files are decoded."""
        if not self.total and done:
            self.console.print(f"scan: {done} of {total} files are known from before", markup=False)
        self.total = total
        self.bar.update(self.task, completed=done, total=total)
        if not self.console.is_terminal and time.monotonic() > self.next_line:
            self.console.print(f"scan: {done} of {total} files", markup=False)
            self.next_line = time.monotonic() + LINE_SECONDS

    def finish(self, readable: int, found: int) -> None:
        """Say what came out."""
        self.console.print(f"scan: {readable} of {found} files are photos that can be read", markup=False)
