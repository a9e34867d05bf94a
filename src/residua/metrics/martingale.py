"""A test for change that may be looked at after every value: a conformal test martingale.

Each value of a stream gets a p-value by its rank among all values so far. As long as the values are
exchangeable, these p-values are independent and uniform (Vovk, Gammerman and Shafer 2005), and a
capital that bets against that stays small: the chance that it *ever* reaches 1 / a is at most a
(Ville 1939).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_EDGES = 256
_PATIENCE = 100
_TENTH, _MOVES = 0.1, (0.5, 1.5)
BETS = ("higher", "higher", "higher", "lower", "lower", "lower", "wider")
"""What each bet says of the values that come now, beside the ones before."""
SHARES = np.array([0.25, 0.1, 0.1, 0.25, 0.1, 0.1, 0.1])
"""The share of the capital that each bet gets: most goes to small moves, which take longest."""


def bets_on(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each bet pays for p-values (...,): a density on [0, 1], of shape (7, ...).

    Small p-values belong to high values. Of three bets on a side, two are those on normal values
    that have moved by half a deviation and by one and a half, and one is on a few values that are
    beyond most others.

    >>> bets_on(np.array(0.04)).round(2).tolist()
    [2.12, 4.49, 3.25, 0.37, 0.02, 0.75, 1.77]
    """
    from scipy.special import ndtri

    deviations = ndtri(np.clip(1 - p_values, 1e-12, 1 - 1e-12))
    pays = []
    for side, is_tail in ((deviations, p_values < _TENTH), (-deviations, p_values > 1 - _TENTH)):
        pays += [np.exp(move * side - move**2 / 2) for move in _MOVES]
        pays.append(np.where(is_tail, 3.25, 0.75))
    return np.stack([*pays, 0.5 + 6 * (p_values - 0.5) ** 2])


def share_kept(n: float) -> float:
    """The share of the capital that has not been bet after `n` values.

    It falls slowly, so that a change after a million values is still found.
    """
    return math.log(_PATIENCE) / math.log(_PATIENCE + n)


@dataclass
class ConformalMartingale:
    """The capital of bets that the values of a stream go on as they came, with flat memory.

    Values are counted in bins between ``edges``, which come from reference values of their own;
    other reference values are counted before the first value of the stream. ``capital`` is what the
    bets hold by now, and ``origins`` since which value each has been growing.

    >>> rng = np.random.default_rng(0)
    >>> test = ConformalMartingale.of(rng.normal(size=200))
    >>> found = [test.add(value, rng.random()) for value in rng.normal(size=1000)]
    >>> test.most < 100
    True
    >>> _ = [test.add(value, rng.random()) for value in rng.normal(1, size=100)]
    >>> test.most > 100, test.says, 950 < test.since <= 1020
    (True, 'higher', True)
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.float64]
    capital: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(BETS)))
    growth: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(BETS)))
    origins: NDArray[np.float64] = field(default_factory=lambda: np.ones(len(BETS)))
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(BETS)))
    n: int = 0
    before: float = 0.0
    total: float = 0.0
    most: float = 1.0

    @classmethod
    def of(cls, reference: Any, counted: Any = None) -> ConformalMartingale:
        """From reference values, (n,), that make the bins, and others, (m,), that are counted.

        Of one set alone, every other value is counted, so its order must be random. Without
        reference values all fall into one bin, and nothing is ever found.
        """
        values = np.asarray(reference, np.float64)
        rest = values[1::2] if counted is None else np.asarray(counted, np.float64)
        bins = np.unique(values[::2] if counted is None else values)
        if len(bins) > _MOST_EDGES:
            bins = np.unique(np.quantile(bins, np.linspace(0, 1, _MOST_EDGES)))
        made = cls(bins, np.zeros(len(bins) + 1))
        np.add.at(made.counts, np.searchsorted(bins, rest, side="right"), 1)
        made.before, made.total = float(len(rest)), float(rest.sum())
        return made

    def add(self, value: float, drawn: float) -> float:
        """Count one value of the stream; the capital there is now, 1 at the start.

        `drawn` is uniform on (0, 1] and breaks ties.
        """
        place = int(np.searchsorted(self.edges, value, side="right"))
        self.counts[place] += 1
        above = self.counts[place + 1 :].sum()
        p_value = (above + drawn * self.counts[place]) / self.counts.sum()
        pays = bets_on(np.asarray(p_value))
        self.n += 1
        fresh = (share_kept(self.n - 1) - share_kept(self.n)) * SHARES
        self.capital = np.minimum((self.capital + fresh) * pays, 1e300)
        begun = self.growth <= 0
        self.origins[begun], self.sums[begun], self.growth[begun] = self.n, 0.0, 0.0
        self.growth += np.log(pays)
        self.sums += value
        self.total += value
        now = share_kept(self.n) + float(self.capital.sum())
        self.most = max(self.most, now)
        return now

    @property
    def _leading(self) -> int:
        return int(self.capital.argmax())

    @property
    def says(self) -> str:
        """What the values are beside those before: ``lower``, ``higher`` or ``wider``."""
        return BETS[self._leading]

    @property
    def since(self) -> int:
        """The value of the stream, counted from 1, from which on they seem to have changed."""
        return int(self.origins[self._leading])

    @property
    def means(self) -> tuple[float | None, float]:
        """The mean value before the change and since; None where there was nothing before."""
        after, n_after = float(self.sums[self._leading]), self.n - self.since + 1
        n_before = self.before + self.n - n_after
        return (None if n_before < 1 else (self.total - after) / n_before), after / max(n_after, 1)

    def state(self) -> dict[str, Any]:
        """Everything, as JSON values; `from_state` reads it back."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> ConformalMartingale:
        """Read what `state` gave."""
        read: dict[str, Any] = {
            name: np.array(value, np.float64) if isinstance(value, list) else value
            for name, value in state.items()
        }
        return cls(**read)
