"""Bootstrap intervals for any statistic, bias-corrected and accelerated.

Images are resampled within strata where these are named.

Sources: Efron (1987), BCa; the acceleration comes from a jackknife over at most 200 groups of
images.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, same_length
from residua.errors import RangeError
from residua.metrics._confidence import check_confidence
from residua.records import Estimate

Statistic = Callable[..., Any]
_GROUPS = 200  # of the jackknife
# Index entries held at once: 2 million of 8 bytes.
_ENTRIES = 2_000_000


def bootstrap_interval(
    statistic: Statistic,
    *arrays: Any,
    stratify: Any = None,
    confidence: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
    vectorised: bool = False,
) -> Estimate:
    """A statistic of per-image arrays with a bootstrap interval (BCa), images resampled together.

    Parameters
    ----------
    statistic : callable
        Takes as many arrays as are passed and returns a float; ``nan`` where a resample does not
        define it. With ``vectorised=True`` it takes arrays with a leading axis of resamples, ``(k,
        n_images, ...)``, and returns ``(k,)``.
    *arrays : arrays, (n_images, ...)
        Image i is row i of each.
    stratify : array, (n_images,), optional
        Resample within each of its values, so that class sizes stay as they are.
    confidence : float in (0, 1)
    n_resamples : int >= 100
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    Estimate
        No bounds where no spread can be seen: fewer than two images, a constant statistic, or one
        that is undefined in more than half of the resamples. ``value`` None where the statistic is
        undefined or infinite.

    Examples
    --------
    >>> errors = np.array([0.1, 0.2, 0.2, 0.3, 0.9, 0.4, 0.3, 0.2])
    >>> estimate = bootstrap_interval(np.median, errors)
    >>> estimate.value, estimate.low, round(estimate.high, 2)
    (0.25, 0.2, 0.36)
    """
    columns = _checked(arrays, stratify, confidence, n_resamples)
    n = len(columns[0])
    batched: Statistic = (
        statistic
        if vectorised
        else lambda *columns: np.array(
            [float(statistic(*rows)) for rows in zip(*columns, strict=True)]
        )
    )
    value = float(batched(*(column[np.newaxis] for column in columns))[0]) if n else math.nan
    if not math.isfinite(value):
        return Estimate(value=None, confidence=confidence, n=n)
    strata = _strata(np.zeros(n) if stratify is None else np.asarray(stratify))
    resampled = _resample(batched, columns, strata, n_resamples, np.random.default_rng(seed))
    resampled = resampled[np.isfinite(resampled)]
    if n < 2 or len(resampled) < n_resamples / 2 or np.ptp(resampled) == 0:
        return Estimate(value=value, confidence=confidence, n=n)
    low, high = bca_bounds(value, resampled, _jackknife(batched, columns, strata), confidence)
    return Estimate(value=value, low=low, high=high, confidence=confidence, n=n)


def _checked(
    arrays: tuple[Any, ...], stratify: Any, confidence: float, n_resamples: int
) -> list[NDArray[Any]]:
    problems = Problems("bootstrap_interval")
    check_confidence(confidence, problems)
    columns = [np.asarray(array) for array in arrays]
    if not columns:
        problems.add("at least one array must be given", "none", "Pass the per-image values")
    same_length(
        problems,
        **{f"array {i + 1}": column for i, column in enumerate(columns)},
        stratify=stratify,
    )
    if n_resamples < 100:
        problems.add("n_resamples must be at least 100", f"{n_resamples}", "Pass 1000", RangeError)
    problems.raise_any()
    return columns


def _strata(stratify: NDArray[Any]) -> list[NDArray[np.int64]]:
    _, inverse = np.unique(stratify, return_inverse=True)
    return [
        np.flatnonzero(inverse == stratum) for stratum in range(int(inverse.max(initial=-1)) + 1)
    ]


def _resample(
    batched: Statistic,
    columns: list[NDArray[Any]],
    strata: list[NDArray[np.int64]],
    n_resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    step = max(1, _ENTRIES // max(len(columns[0]), 1))
    parts = []
    for start in range(0, n_resamples, step):
        k = min(step, n_resamples - start)
        chosen = np.concatenate(
            [rows[rng.integers(len(rows), size=(k, len(rows)))] for rows in strata], axis=1
        )
        parts.append(np.asarray(batched(*(column[chosen] for column in columns)), np.float64))
    return np.concatenate(parts)


def _jackknife(
    batched: Statistic, columns: list[NDArray[Any]], strata: list[NDArray[np.int64]]
) -> NDArray[np.float64]:
    """The statistic without each of up to 200 groups.

    Every stratum is spread evenly over the groups.
    """
    n = len(columns[0])
    group = np.empty(n, np.int64)
    group[np.concatenate(strata)] = np.arange(n) % min(n, _GROUPS)
    values = np.array(
        [
            batched(*(column[group != k][np.newaxis] for column in columns))[0]
            for k in range(min(n, _GROUPS))
        ],
        np.float64,
    )
    return values[np.isfinite(values)]


def bca_bounds(
    value: float, resampled: NDArray[np.float64], left_out: NDArray[np.float64], confidence: float
) -> tuple[float, float]:
    """Quantiles of the resampled values, moved for bias and for skewness.

    Bias is how many lie below `value`, skewness comes from the jackknife.
    """
    normal = NormalDist()
    share = (np.count_nonzero(resampled < value) + np.count_nonzero(resampled == value) / 2) / len(
        resampled
    )
    bias = normal.inv_cdf(float(np.clip(share, 0.5 / len(resampled), 1 - 0.5 / len(resampled))))
    deviation = left_out.mean() - left_out if len(left_out) else np.zeros(1)
    spread = float((deviation**2).sum())
    acceleration = float((deviation**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    shifted = [bias + normal.inv_cdf((1 + sign * confidence) / 2) for sign in (-1, 1)]
    levels = [normal.cdf(bias + z / (1 - acceleration * z)) for z in shifted]
    low, high = np.quantile(resampled, levels)
    return float(low), float(high)
