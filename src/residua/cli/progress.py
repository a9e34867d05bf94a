"""Progress of a command: bars and sentences on standard error, unless it is to be quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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
    """A watcher, and who is told how many of several fits are done: a bar above the others."""
    from residua._progress import bars
    from residua.runs.progress import Watcher

    if quiet:
        yield Watcher(), None
        return
    with bars() as drawn:
        watcher = Watcher(on_read=drawn.reading, on_step=drawn.training, on_note=drawn.note)
        yield watcher, drawn.fits


@contextmanager
def counting(*, quiet: bool = False) -> Iterator[Callable[[int, int], None] | None]:
    """Who is told how many of how many images are done, without torch; None with `quiet`."""
    from residua._progress import bars

    if quiet:
        yield None
        return
    with bars() as drawn:
        yield drawn.reading
