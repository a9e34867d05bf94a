"""Who watches the fit of an estimator: a bar, callbacks, a logger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from residua._progress import bars
from residua.errors import InputError
from residua.runs.loggers import FOLDER, RunLogger
from residua.training.fitting.session import FitSession
from residua.training.loop.settings import Epoch, EpochReport


@dataclass(frozen=True)
class Watching:
    """What `fit` was told of who watches; see `ImageEstimator`."""

    verbose: bool = False
    callbacks: Sequence[EpochReport] = ()
    logger: Any = None

    @contextmanager
    def session(self) -> Iterator[tuple[FitSession, RunLogger | None]]:
        """A session of a fit that is watched, and the logger that was made."""
        callbacks = [self.callbacks] if callable(self.callbacks) else list(self.callbacks)
        wrong = [one for one in callbacks if not callable(one)]
        if wrong:
            raise InputError(
                f"fit: callbacks must be callables that take an Epoch. Got {wrong[0]!r}. Pass"
                " functions."
            )
        logged = None if self.logger is None else RunLogger(self.logger, Path(FOLDER))

        def on_epoch(epoch: Epoch) -> bool:
            if logged is not None:
                logged.on_epoch(epoch)
            said = [bool(callback(epoch)) for callback in callbacks]  # each is told
            return any(said)

        is_done = False
        try:
            with bars() if self.verbose else nullcontext() as drawn:
                on_step, on_note = (None, None) if drawn is None else (drawn.training, drawn.note)
                yield FitSession(on_epoch=on_epoch, on_step=on_step, on_note=on_note), logged
            is_done = True
        finally:
            if logged is not None and not is_done:
                logged.end(is_failed=True)
