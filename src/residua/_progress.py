"""Progress on the terminal and in notebooks.

Bars for reading and training with the time left, and sentences between them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from html import escape
from typing import Any

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

_EVERY_SECONDS = 0.2


@contextmanager
def bars() -> Iterator[Bars]:
    """Bars for as long as the block runs: in a running notebook, else on standard error."""
    display = _display_of_notebook()
    if display is not None:
        drawn = _NotebookBars(display)
        yield drawn
        drawn.clear()
        return
    with _progress() as progress:
        yield _TerminalBars(progress)


def _display_of_notebook() -> Any:
    """IPython's ``display`` in a notebook's kernel; None anywhere else. Nothing is imported."""
    shell = sys.modules.get("IPython")
    running = None if shell is None else shell.get_ipython()
    if running is None or not hasattr(running, "kernel"):
        return None
    return sys.modules["IPython.display"]


class Bars:
    """Who draws how a run gets on."""

    def reading(self, done: int, total: int) -> None:
        """So many images are read."""
        self._show("images", done, total, "")

    def training(
        self, step: int, n_steps: int, epoch: int, loss: float, validation: float | None
    ) -> None:
        """A step of training is done."""
        detail = f"epoch {epoch}  loss {loss:.5f}" + (
            f"  validation {validation:.5f}" if validation is not None else ""
        )
        self._show("training", step, n_steps, detail)

    def fits(self, done: float, total: int, words: str, seconds_left: float | None) -> None:
        """So many fits of several are done."""

    def note(self, text: str) -> None:
        """A sentence between the bars."""

    def _show(self, kind: str, done: int, total: int, detail: str) -> None:
        raise NotImplementedError


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
    """The time left as the caller knows it (fits of recipes differ), else by the bar's speed."""

    def render(self, task: Task) -> Text:
        if "seconds_left" not in task.fields:
            return super().render(task)
        left = task.fields["seconds_left"]
        return Text(
            "-:--:--" if left is None else str(timedelta(seconds=round(left))),
            style="progress.remaining",
        )


class _TerminalBars(Bars):
    """One bar at a time: reading, or training; above it one over all fits if several."""

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

    def note(self, text: str) -> None:
        self._progress.console.print(f"  {text}", markup=False)

    def _show(self, kind: str, done: int, total: int, detail: str) -> None:
        if self._task is None or kind != self._kind or done < self._progress.tasks[-1].completed:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task, self._kind = self._progress.add_task(kind, total=total, detail=detail), kind
        self._progress.update(self._task, completed=done, total=total, detail=detail)
        if done >= total:
            self._progress.remove_task(self._task)
            self._task = None


class _NotebookBars(Bars):
    """One line below the cell, drawn anew a few times a second; sentences stand above it."""

    def __init__(self, display: Any) -> None:
        self._display, self._notes = display, [""]
        self._kind, self._started, self._drawn = "", time.monotonic(), 0.0
        self._handle = display.display(display.HTML(""), display_id=True)

    def note(self, text: str) -> None:
        self._notes.append(f"<div>{escape(text)}</div>")
        self._draw("")

    def clear(self) -> None:
        """The sentences alone: what was to be waited for is over."""
        self._draw("")

    def _show(self, kind: str, done: int, total: int, detail: str) -> None:
        now = time.monotonic()
        if kind != self._kind or done <= 1:
            self._kind, self._started = kind, now
        if now - self._drawn < _EVERY_SECONDS and done < total:
            return
        self._drawn = now
        left = (now - self._started) * (total - done) / max(1, done)
        words = f"{kind} {done:,}/{total:,}, {timedelta(seconds=round(left))} left  {detail}"
        bar = f'<progress value="{done}" max="{total}" style="width: 16em"></progress>'
        self._draw(f"<div>{bar} {escape(words)}</div>")

    def _draw(self, line: str) -> None:
        html = f'<div style="font: 12px monospace">{"".join(self._notes)}{line}</div>'
        self._handle.update(self._display.HTML(html))
