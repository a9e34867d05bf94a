"""Bounds of a number that is computed from a confusion matrix: balanced accuracy, F1, kappa.

Over all tables of shares that the images do not reject (see `residua.metrics.divergence`) the
number has a least and a largest value. A cell without an image may hold some in them, so that a
class without a mistake still has a bound. Of two cells this is Wilson's interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.metrics.divergence import Distance, by_likelihood, by_pearson

Floats = NDArray[np.float64]
_MOST_STEPS, _WHOLE_STEPS = 20, 3
_CLOSE, _DUST = 1e-4, 1e-12


@dataclass(frozen=True)
class Slopes:
    """A number, and how it changes with the shares of images, each (n_classes,).

    Those that are right in a class, those whose true class it is, and those said to be of it.
    """

    value: float
    right: Floats
    true: Floats
    said: Floats

    def of_cells(self, true: NDArray[Any], said: NDArray[Any]) -> Floats:
        """How the number changes with the share of images in these cells."""
        return np.asarray(self.true[true] + self.said[said] + self.right[true] * (true == said))


Statistic = Callable[[Floats, Floats, Floats], Slopes]
"""From the shares of images, each (n_classes,), that are right, truly of the class, said to be."""


def mean_recall(right: Floats, true: Floats, said: Floats) -> Slopes:
    """Balanced accuracy: recall averaged over the classes that occur."""
    occurs = true > 0
    k = max(int(np.count_nonzero(occurs)), 1)
    weight = np.where(occurs, 1 / np.where(occurs, true, 1), 0) / k
    recall = right * weight
    return Slopes(float(recall.sum()), weight, -k * recall * weight, np.zeros_like(said))


def mean_precision(right: Floats, true: Floats, said: Floats) -> Slopes:
    """Precision averaged over the classes."""
    flipped = mean_recall(right, said, true)
    return Slopes(flipped.value, flipped.right, flipped.said, flipped.true)


def mean_f1(right: Floats, true: Floats, said: Floats) -> Slopes:
    """F1 averaged over the classes that occur or are predicted."""
    both, k = true + said, np.count_nonzero(true + said)
    both = np.where(both > 0, both, 1)
    slope = -2 * right / both**2 / k
    return Slopes(float((2 * right / both).sum() / k), 2 / both / k, slope, slope)


def weighted_f1(right: Floats, true: Floats, said: Floats) -> Slopes:
    """F1 averaged over images, each with that of its true class."""
    both = np.where(true + said > 0, true + said, 1)
    f1 = 2 * right / both
    slope = -f1 * true / both
    return Slopes(float((f1 * true).sum()), 2 * true / both, f1 + slope, slope)


def kappa(right: Floats, true: Floats, said: Floats) -> Slopes:
    """Cohen's kappa."""
    chance = float((true * said).sum())
    above, room = float(right.sum()) - chance, max(1 - chance, _DUST)
    factor = (above / room - 1) / room
    return Slopes(above / room, np.full_like(right, 1 / room), factor * said, factor * true)


def matthews(right: Floats, true: Floats, said: Floats) -> Slopes:
    """Matthews' correlation, of several classes Gorodkin's."""
    above = float(right.sum() - (true * said).sum())
    of_true, of_said = (max(1 - float((one**2).sum()), _DUST) for one in (true, said))
    scale = (of_true * of_said) ** 0.5
    value = above / scale
    return Slopes(
        value,
        np.full_like(right, 1 / scale),
        value * true / of_true - said / scale,
        value * said / of_said - true / scale,
    )


def confusion_bounds(
    matrix: NDArray[Any], statistic: Statistic, budget: float
) -> tuple[float, float]:
    """The least and the largest value of `statistic` over the tables that are not rejected.

    - `matrix`: array, (n_classes, n_classes). Counts, rows true.
    - `statistic`: One of those above.
    - `budget`: The squared number of standard errors over the number of images.

    >>> low, high = confusion_bounds(np.array([[90, 0], [0, 10]]), mean_recall, 1.96**2 / 100)
    >>> round(low, 2), high
    (0.85, 1.0)
    """
    observed = _Observed.read(matrix)
    ends = [
        _furthest(observed, statistic, budget, sign, distance)
        for sign in (1, -1)
        for distance in (by_pearson, by_likelihood)
    ]
    return min(ends), max(ends)


def slopes_of(matrix: NDArray[Any], statistic: Statistic) -> Slopes:
    """`statistic` of a matrix of counts, with its slopes there."""
    return _Observed.read(matrix).slopes(statistic)


@dataclass(frozen=True)
class _Table:
    """Shares of images in cells; a cell may come more than once."""

    true: NDArray[np.int64]
    said: NDArray[np.int64]
    shares: Floats

    def slopes(self, statistic: Statistic, k: int) -> Slopes:
        is_right = self.true == self.said
        right, true, said = (
            np.asarray(np.bincount(places, shares, k), np.float64)
            for places, shares in (
                (self.true, self.shares * is_right),
                (self.true, self.shares),
                (self.said, self.shares),
            )
        )
        return statistic(right, true, said)

    def mixed(self, other: _Table, share: float) -> _Table:
        """A part of these shares, and for the rest those of `other`."""
        if share == 1:
            return other
        return _Table(
            np.concatenate((self.true, other.true)),
            np.concatenate((self.said, other.said)),
            np.concatenate((self.shares * (1 - share), other.shares * share)),
        )


@dataclass(frozen=True)
class _Observed:
    """The table of a matrix, and which of its cells might hold images though they have none."""

    table: _Table
    is_empty: NDArray[np.bool_]

    @classmethod
    def read(cls, matrix: NDArray[Any]) -> _Observed:
        true, said = np.nonzero(matrix)
        occurs = matrix.sum(axis=1, keepdims=True) > 0
        return cls(_Table(true, said, matrix[true, said] / matrix.sum()), (matrix == 0) & occurs)

    def slopes(self, statistic: Statistic) -> Slopes:
        return self.table.slopes(statistic, len(self.is_empty))

    def furthest_along(
        self, slopes: Slopes, sign: int, budget: float, distance: Distance
    ) -> _Table:
        """The table within the distance that is furthest along these slopes."""
        cells = sign * (slopes.true[:, np.newaxis] + slopes.said)
        np.fill_diagonal(cells, np.diag(cells) + sign * slopes.right)
        cells[~self.is_empty] = np.inf
        row, column = divmod(int(cells.argmin()), len(cells))
        true, said, shares = self.table.true, self.table.said, self.table.shares
        values = sign * slopes.of_cells(true, said)
        moved = distance(shares, values, float(cells[row, column]), budget)
        more = max(1 - float(moved.sum()), 0.0)
        return _Table(np.append(true, row), np.append(said, column), np.append(moved, more))


def _furthest(
    observed: _Observed, statistic: Statistic, budget: float, sign: int, distance: Distance
) -> float:
    """The least (`sign` 1) or largest (-1) value, in steps along the slopes until it rests.

    Where whole steps go to and fro between empty cells, the mean of the steps comes to rest (Frank
    and Wolfe, 1956).
    """
    k, table = len(observed.is_empty), observed.table
    slopes = table.slopes(statistic, k)
    start = furthest = before = sign * slopes.value
    for step in range(_MOST_STEPS):
        ahead = observed.furthest_along(slopes, sign, budget, distance)
        table = table.mixed(ahead, 1 / max(step - _WHOLE_STEPS + 2, 1))
        slopes = table.slopes(statistic, k)
        value = sign * slopes.value
        furthest = min(furthest, value)
        if abs(value - before) <= _CLOSE * (start - furthest):
            break
        before = value
    return sign * furthest
