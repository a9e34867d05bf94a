"""Progress on the terminal: bars for reading and training with the time left, and sentences between
them, on standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from residua._text import terminal

if TYPE_CHECKING:
    from residua.runs.benchmark.progress import FitReport
    from residua.runs.progress import Watcher


@contextmanager
def watching(*, quiet: bool = False) -> Iterator[Watcher]:
    """A watcher that draws on standard error for as long as the block runs; silent with `quiet`."""
    with watching_several(quiet=quiet) as (watcher, _):
        yield watcher


@contextmanager
def watching_several(*, quiet: bool = False) -> Iterator[tuple[Watcher, FitReport | None]]:
    """A watcher, and who is told how many fits of several are done: a bar above those of the
    present one.
    """
    from residua.runs.progress import Watcher

    if quiet:
        yield Watcher(), None
        return
    with _progress() as progress:
        bars = _Bars(progress)
        watcher = Watcher(
            on_read=bars.reading,
            on_step=bars.training,
            on_note=lambda text: progress.console.print(f"  {text}", markup=False),
        )
        yield watcher, bars.fits


@contextmanager
def counting(*, quiet: bool = False) -> Iterator[Callable[[int, int], None] | None]:
    """Who is told how many of how many images are done, for commands that need no torch; None with
    `quiet`.
    """
    if quiet:
        yield None
        return
    with _progress() as progress:
        yield _Bars(progress).reading


def _progress() -> Progress:
    console = terminal(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(table_column=_never_shortened()),
        TextColumn("left"),
        _Left(table_column=_never_shortened()),
        TextColumn("{task.fields[detail]}"),
    )
    return Progress(
        *columns,
        console=console,
        transient=True,
        refresh_per_second=5,
        disable=not console.is_terminal,
    )


def _never_shortened() -> Column:
    """A column as wide as a time: on a narrow terminal the bar and the words after it give way."""
    return Column(no_wrap=True, min_width=7)


class _Left(TimeRemainingColumn):
    """The time left as the caller knows it, else by the speed of the bar: fits of several recipes
    differ too much for that.
    """

    def render(self, task: Task) -> Text:
        if "seconds_left" not in task.fields:
            return super().render(task)
        left = task.fields["seconds_left"]
        return Text(
            "-:--:--" if left is None else str(timedelta(seconds=round(left))),
            style="progress.remaining",
        )


class _Bars:
    """One bar at a time: reading images, or training; above it one over all fits, where there are
    several.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._kind = ""
        self._all_fits: TaskID | None = None

    def fits(self, done: float, total: int, words: str, seconds_left: float | None) -> None:
        if self._all_fits is None:
            self._all_fits = self._progress.add_task(
                "all fits", total=total, detail=words, seconds_left=seconds_left
            )
        self._progress.update(
            self._all_fits, completed=done, total=total, detail=words, seconds_left=seconds_left
        )

    def reading(self, done: int, total: int) -> None:
        self._show("images", done, total, "")

    def training(
        self, step: int, n_steps: int, epoch: int, loss: float, validation: float | None
    ) -> None:
        detail = f"epoch {epoch}  loss {loss:.5f}" + (
            f"  validation {validation:.5f}" if validation is not None else ""
        )
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
