"""Shares of images that the observed ones do not reject, and the least mean over them.

A distribution over a few values is not rejected where its distance from the observed one is small:
Pearson's chi-square (Wilson, 1927, has it for two values; Baggerly, 1998, on such distances), or
that of the likelihood (Owen, 1988). Pearson's leaves room for a value that no image has shown; the
likelihood's is the wider one on the side of few images. Both bounds together hold the truth where
either alone falls short.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_DUST = 1e-12
Floats = NDArray[np.float64]
Distance = Callable[[Floats, Floats, float, float], Floats]
"""From shares, the value of each, a value without images, and a budget: the furthest shares."""


def mean_bounds(values: Floats, budget: float, *, least: float, most: float) -> tuple[float, float]:
    """Bounds of the mean of what lies between `least` and `most`, from a sample of it.

    - `values`: float array, (n_images,).
    - `budget`: The squared number of standard errors over the number of images.

    Twenty losses near 0, of a kind that can be 1, do not show that the mean is near 0:

    >>> low, high = mean_bounds(np.full(20, 1e-4), 1.96**2 / 20, least=0, most=1)
    >>> round(low, 3), round(high, 3)
    (0.0, 0.161)
    """
    shares = np.full(len(values), 1 / len(values))
    ends = []
    for sign, end in ((1, least), (-1, most)):
        for distance in (by_pearson, by_likelihood):
            moved = distance(shares, sign * values, sign * end, budget)
            rest = max(1 - float(moved.sum()), 0.0)
            ends.append(float((moved * values).sum()) + (rest * end if rest > _DUST else 0.0))
    return max(min(ends), least), min(max(ends), most)


def by_pearson(shares: Floats, values: Floats, empty: float, budget: float) -> Floats:
    """Shares within Pearson's distance whose mean of `values` is least.

    They are `shares` over the root of the excess over a floor; what they leave of 1 lies in an
    empty cell of the value `empty`.
    """
    excess, scale = _excess(values, min(float(values.min()), empty))
    if scale == 0:
        return shares
    if empty < values.min():
        root = np.sqrt(excess)
        total = float((shares * root).sum())
        if float((shares / root).sum()) * total <= 1 + budget:
            return np.asarray(shares / root * total / (1 + budget))

    def off(log_floor: float) -> float:
        root = np.sqrt(np.exp(log_floor) + excess)
        return float((shares / root).sum() * (shares * root).sum()) - 1 - budget

    tilted = shares / np.sqrt(np.exp(_root(off)) + excess)
    return np.asarray(tilted / tilted.sum())


def by_likelihood(shares: Floats, values: Floats, empty: float, budget: float) -> Floats:
    """Shares within the distance of the likelihood; `empty` has none of them."""
    excess, scale = _excess(values, float(values.min()))
    if scale == 0:
        return shares

    def off(log_floor: float) -> float:
        above = np.exp(log_floor) + excess
        return (
            float(2 * np.log((shares / above).sum()) + 2 * (shares * np.log(above)).sum()) - budget
        )

    tilted = shares / (np.exp(_root(off)) + excess)
    return np.asarray(tilted / tilted.sum())


def _excess(values: Floats, least: float) -> tuple[Floats, float]:
    """`values` over the least, in parts of the largest; the second is 0 where all are alike."""
    excess = values - least
    scale = float(excess.max())
    return (excess / scale, scale) if scale > 1e-12 else (excess, 0.0)


def _root(falling: Callable[[float], float]) -> float:
    from scipy.optimize import brentq

    return float(brentq(falling, -60.0, 30.0, xtol=1e-5))
