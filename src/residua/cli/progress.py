"""Progress on the terminal: bars for reading and training with the time left, and sentences between them, on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from residua.experiment import Watcher


@contextmanager
def watching(*, quiet: bool = False) -> Iterator[Watcher]:
    """A watcher that draws on standard error for as long as the block runs; silent with `quiet`."""
    from residua.experiment import Watcher

    if quiet:
        yield Watcher()
        return
    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Progress(*columns, console=console, transient=True, refresh_per_second=5, disable=not console.is_terminal) as progress:
        bars = _Bars(progress)
        yield Watcher(
            on_read=bars.reading, on_step=bars.training, on_note=lambda text: progress.console.print(f"  {text}", markup=False)
        )


class _Bars:
    """One bar at a time: reading images, or training."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._kind = ""

    def reading(self, done: int, total: int) -> None:
        self._show("images", done, total, "")

    def training(self, step: int, n_steps: int, epoch: int, loss: float, validation: float | None) -> None:
        detail = f"epoch {epoch}  loss {loss:.5f}" + (f"  validation {validation:.5f}" if validation is not None else "")
        self._show("training", step, n_steps, detail)

    def _show(self, kind: str, done: int, total: int, detail: str) -> None:
        if self._task is None or kind != self._kind or done < self._progress.tasks[-1].completed:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task, self._kind = self._progress.add_task(kind, total=total, detail=detail), kind
        self._progress.update(self._task, completed=done, total=total, detail=detail)
        if done >= total:
            self._progress.remove_task(self._task)
            self._task = None
