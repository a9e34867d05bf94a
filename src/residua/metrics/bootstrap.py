"""Bootstrap intervals for any statistic, bias-corrected and accelerated.

Images are resampled within strata where these are named, and whole groups where images were sampled
in groups.

Sources: Efron (1987), BCa; the acceleration comes from a jackknife over at most 200 parts of the
images. Hesterberg (2015), quantiles further out where there are few groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, same_length
from residua.metrics._confidence import check_confidence, student_t
from residua.metrics.groups import LEAST_GROUPS, Groups, as_groups, caveat_of
from residua.records import Estimate

Statistic = Callable[..., Any]
_PARTS = 200  # of the jackknife
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
    groups: Any = None,
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
    groups : array, (n_images,), or Groups, optional
        What was sampled together; whole groups are resampled, among those whose images are in the
        same strata.

    Returns
    -------
    Estimate
        No bounds where no spread can be seen: fewer than two images or five groups, a constant
        statistic, or one that is undefined in more than half of the resamples. ``value`` None where
        the statistic is undefined or infinite.

    Examples
    --------
    >>> errors = np.array([0.1, 0.2, 0.2, 0.3, 0.9, 0.4, 0.3, 0.2])
    >>> estimate = bootstrap_interval(np.median, errors)
    >>> estimate.value, estimate.low, round(estimate.high, 2)
    (0.25, 0.2, 0.36)
    """
    columns, grouped = _checked(arrays, stratify, confidence, n_resamples, groups)
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
    estimate = Estimate(value=value, confidence=confidence, n=n)
    if grouped is not None:
        told = {"n_groups": grouped.n_groups, "caveat": caveat_of(grouped.n_groups)}
        estimate = estimate.model_copy(update=told)
    units = Groups(np.arange(n)) if grouped is None else grouped
    if n < 2 or (not units.is_single and units.n_groups < LEAST_GROUPS):
        return estimate
    strata = _strata(np.zeros(n) if stratify is None else np.asarray(stratify), units)
    resampled = _resample(batched, columns, strata, units, n_resamples=n_resamples, seed=seed)
    resampled = resampled[np.isfinite(resampled)]
    if len(resampled) < n_resamples / 2 or np.ptp(resampled) == 0:
        return estimate
    left_out = _jackknife(batched, columns, strata, units)
    low, high = bca_bounds(value, resampled, left_out, _expanded(confidence, units))
    return estimate.model_copy(update={"low": low, "high": high})


def _expanded(confidence: float, units: Groups) -> float:
    """The confidence at which a normal quantile is as far out as Student's of so few groups."""
    if units.is_single:
        return confidence
    n = units.n_groups
    reach = student_t(confidence, n - 1) * math.sqrt(n / (n - 1))
    return 2 * NormalDist().cdf(reach) - 1


def _checked(
    arrays: tuple[Any, ...], stratify: Any, confidence: float, n_resamples: int, groups: Any
) -> tuple[list[NDArray[Any]], Groups | None]:
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
    problems.within("n_resamples", n_resamples, "[100, inf)", "Pass 1000")
    problems.raise_any()
    return columns, as_groups(groups, len(columns[0]))


def _strata(stratify: NDArray[Any], units: Groups) -> list[NDArray[np.int64]]:
    """The units that are drawn together, by number: those with images in the same strata."""
    _, stratum = np.unique(stratify, return_inverse=True)
    if units.is_single:
        inverse = stratum
    else:
        holds = np.zeros((units.n_groups, int(stratum.max(initial=0)) + 1), np.bool_)
        holds[units.codes, stratum] = True
        _, inverse = np.unique(holds, axis=0, return_inverse=True)
    return [np.flatnonzero(inverse == one) for one in range(int(inverse.max(initial=-1)) + 1)]


def _resample(
    batched: Statistic,
    columns: list[NDArray[Any]],
    strata: list[NDArray[np.int64]],
    units: Groups,
    *,
    n_resamples: int,
    seed: int,
) -> NDArray[np.float64]:
    step = max(1, _ENTRIES // max(len(columns[0]), 1)) if units.is_single else 1
    members = np.split(np.argsort(units.codes, kind="stable"), np.cumsum(units.sizes)[:-1])
    rng, parts = np.random.default_rng(seed), []
    for start in range(0, n_resamples, step):
        k = min(step, n_resamples - start)
        chosen = np.concatenate(
            [rows[rng.integers(len(rows), size=(k, len(rows)))] for rows in strata], axis=1
        )
        if not units.is_single:
            chosen = np.concatenate([members[one] for one in chosen[0]])[np.newaxis]
        parts.append(np.asarray(batched(*(column[chosen] for column in columns)), np.float64))
    return np.concatenate(parts)


def _jackknife(
    batched: Statistic,
    columns: list[NDArray[Any]],
    strata: list[NDArray[np.int64]],
    units: Groups,
) -> NDArray[np.float64]:
    """The statistic without each of up to 200 parts of the images.

    Every stratum is spread evenly over the parts.
    """
    n = min(units.n_groups, _PARTS)
    of_unit = np.empty(units.n_groups, np.int64)
    of_unit[np.concatenate(strata)] = np.arange(units.n_groups) % n
    part = of_unit[units.codes]
    values = np.array(
        [batched(*(column[part != k][np.newaxis] for column in columns))[0] for k in range(n)],
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
