"""How many faults n images may show, and how many images it takes.

Exact binomial bounds, and their like for groups of images.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

import numpy as np
from numpy.typing import NDArray


def chance_of_at_most(n_faults: int, n: int, rate: float) -> float:
    """Binomial probability of at most `n_faults` of `n` images that go wrong at `rate`."""
    from scipy.special import betainc

    if n_faults < 0:
        return 0.0
    return 1.0 if n_faults >= n else float(betainc(n - n_faults, n_faults + 1, 1 - rate))


def highest_rate(n_faults: Any, n: Any, confidence: float) -> NDArray[np.float64]:
    """The rate that `n_faults` among `n` rule out, one-sided (Clopper and Pearson, 1934).

    Arrays of any one shape, and numbers that are not whole.

    >>> highest_rate([0, 299], 299, 0.95).round(4).tolist()
    [0.01, 1.0]
    """
    from scipy.special import betaincinv

    faults, of = np.broadcast_arrays(np.asarray(n_faults, float), np.asarray(n, float))
    right = np.where(faults < of, of - faults, 1.0)
    return np.where(faults < of, betaincinv(faults + 1, right, confidence), 1.0)


_NODES = 600
_NEGLIGIBLE = -23.0  # log of 1e-10


def chance_of_mean(shares: NDArray[np.float64], rate: float) -> float:
    """How rare groups with so few faults would be, were the mean share of faults above `rate`.

    `shares` (n_groups,) are the shares of each group's images that went wrong. Nothing is assumed
    of how alike the images of a group are: it is the bound for a mean of values in [0, 1] of Gaffke
    (*Proc. 5th St. Petersburg Workshop on Simulation*, 2005; Learned-Miller and Thomas,
    arXiv:1905.06208), no counterexample to which is known. With one image a group it is
    `chance_of_at_most`.

    It is the probability that ``sum(E_i (share_i - rate)) + E_0 (1 - rate) > 0`` with independent
    exponential E, by inversion of the characteristic function (Gil-Pelaez, 1951).

    >>> one_of_100 = np.eye(1, 100)[0]
    >>> round(chance_of_mean(one_of_100, 0.05), 9), round(chance_of_at_most(1, 100, 0.05), 9)
    (0.037081209, 0.037081209)
    """
    values, counts = np.unique(np.append(shares, 1.0) - rate, return_counts=True)
    weights = (values / np.sqrt((counts * values**2).sum()))[:, np.newaxis]

    def log_modulus(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(-0.5 * counts @ np.log1p((weights * at) ** 2))

    end = 8.0
    while log_modulus(np.array([end]))[0] > _NEGLIGIBLE:
        end *= 1.5
    # Few groups leave long tails: equal steps in the inverse hyperbolic sine reach them.
    step = np.arcsinh(end) / _NODES
    x = (np.arange(_NODES) + 0.5) * step
    at = np.sinh(x)
    angle = counts @ np.arctan(weights * at)
    integrand = np.exp(log_modulus(at)) * np.sin(angle) / np.tanh(x)
    return float(np.clip(0.5 + integrand.sum() * step / np.pi, 0, 1))


def allowed_faults(n: int, rate: float, confidence: float) -> int | None:
    """The most faults among `n` that still show a rate of at most `rate`.

    One-sided, at the confidence; None if not even no fault shows it.

    This is the one-sided Clopper-Pearson bound read backwards, and the order statistic that bounds
    a quantile: Wilks, *Annals of Mathematical Statistics* 12 (1941) 91.

    >>> (
    ...     allowed_faults(299, 0.01, 0.95),
    ...     allowed_faults(298, 0.01, 0.95),
    ...     allowed_faults(1000, 0.01, 0.95),
    ... )
    (0, None, 4)
    """
    shown = bisect_right(
        range(n), 1 - confidence, key=lambda n_faults: chance_of_at_most(n_faults, n, rate)
    )
    return shown - 1 if shown else None


def images_needed(rate: float, confidence: float, n_faults: int = 0) -> int:
    """The fewest images that show a rate of at most `rate` when `n_faults` of them go wrong.

    >>> [images_needed(0.01, 0.95, n_faults) for n_faults in (0, 1, 2)]
    [299, 473, 628]
    """
    most = n_faults + 1
    while chance_of_at_most(n_faults, most, rate) > 1 - confidence:
        most *= 2
    return bisect_left(
        range(most), True, key=lambda n: chance_of_at_most(n_faults, n, rate) <= 1 - confidence
    )
