"""How far a benchmark is and how long it still takes, learnt from the fits of the same recipe that
are finished.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from residua._text import duration
from residua.runs.progress import Watcher

Fit = tuple[str, str, int]
"""Class, recipe and seed."""

FitReport = Callable[[float, int, str, float | None], None]
"""Called with (fits done, with the fraction of the present one; fits in all; the present one in
words; seconds left or None)."""

_ENOUGH_TO_GUESS = 0.05
_NOT_QUITE = 0.99  # a trained model is still to be scored


class BenchmarkProgress:
    """Tells a watcher of every fit as it ends, and `on_fit` of every step.

    - `fits`: iterable of (class, recipe, seed). All that were asked for.
    - `known`: iterable of (fit, seconds). Those that are finished already, and how long they took.
    """

    def __init__(
        self,
        fits: Iterable[Fit],
        known: Iterable[tuple[Fit, float]],
        watcher: Watcher,
        on_fit: FitReport | None = None,
    ) -> None:
        self._all = list(fits)
        self._seconds: dict[str, list[float]] = {}
        finished = dict(known)
        for (_, recipe, _), seconds in finished.items():
            self._seconds.setdefault(recipe, []).append(seconds)
        self._waiting = Counter(fit[1] for fit in self._all if fit not in finished)
        self._n_done = len(self._all) - self._waiting.total()
        self._watcher, self._on_fit = watcher, on_fit
        self._present, self._began = "", 0.0
        if self._n_done:
            watcher.note(
                f"{self._n_done} of {len(self._all)} fits are finished already and not done again"
            )

    def begin(self, fit: Fit) -> Watcher:
        """`fit` begins; returns the watcher for it, whose steps move the whole on."""
        label, self._present, seed = fit
        self._began = time.monotonic()
        self._waiting[self._present] -= 1
        words = f"class {label}, {self._present}, seed {seed}"
        self._report(words, 0.0)

        def on_step(
            step: int, n_steps: int, epoch: int, loss: float, validation: float | None
        ) -> None:
            self._report(words, step / n_steps)
            if self._watcher.on_step is not None:
                self._watcher.on_step(step, n_steps, epoch, loss, validation)

        return replace(self._watcher, on_step=on_step, on_note=None)

    def finish(self, fit: Fit, roc_auc: float) -> None:
        """`fit` is finished and kept."""
        label, recipe, seed = fit
        seconds = time.monotonic() - self._began
        self._seconds.setdefault(recipe, []).append(seconds)
        self._n_done += 1
        left = self.seconds_left()
        more = f"; about {duration(left)} left" if left else ""
        self._watcher.note(
            f"[{self._n_done}/{len(self._all)}] class {label}, {recipe}, seed {seed}: "
            f"ROC AUC {roc_auc:.3f} in {duration(seconds)}{more}"
        )

    def seconds_left(self, present: float = 0.0, typical: float | None = None) -> float | None:
        """Seconds of the present fit, plus those of the fits not begun; None before anything is
        known.

        Recipes of which no fit has ended are taken for `typical` ones; the mean of the known
        recipes if None.
        """
        means = {recipe: float(np.mean(seconds)) for recipe, seconds in self._seconds.items()}
        if typical is None:
            typical = float(np.mean(list(means.values()))) if means else None
        if typical is None:
            return None
        return present + sum(n * means.get(recipe, typical) for recipe, n in self._waiting.items())

    def _report(self, words: str, fraction: float) -> None:
        if self._on_fit is None:
            return
        elapsed, left = time.monotonic() - self._began, None
        known = self._seconds.get(self._present)
        if known:
            left = self.seconds_left(max(0.0, float(np.mean(known)) - elapsed))
        elif fraction > _ENOUGH_TO_GUESS:
            whole = elapsed / fraction
            left = self.seconds_left(whole - elapsed, whole)
        self._on_fit(self._n_done + min(fraction, _NOT_QUITE), len(self._all), words, left)
