"""Intervals for the mean of a per-image value, and for the difference of two models.

Reconstruction errors are skewed: a few bad images carry the mean, and the textbook ``mean +- 1.96 s
/ sqrt(n)`` is then too short above. Sources: Efron and Tibshirani (1993), chapter 12, the
bootstrap-t, never shorter than Student's interval; Hall (1992), the cubic transformation that takes
its place where there are too many images to resample. Images sampled in groups: whole groups are
resampled, and studentised by the sums of deviations of each group.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, same_length
from residua.errors import RangeError, ShapeError
from residua.metrics._confidence import require_confidence, student_t, two_sided_z
from residua.metrics.groups import LEAST_GROUPS, Groups, as_groups, caveat_of
from residua.records import Estimate

_N_RESAMPLES = 2000
_DUST = 1e-9
# From so many images on, of a kind that makes up 1% some ten are there, and intervals hold.
_RARE_SEEN_FROM = 1000
# Resamples of fewer than five images repeat one of them too often.
_RESAMPLED_FROM, _RESAMPLED_UP_TO = 5, 5000


def mean_interval(
    values: Any,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    least: float = -math.inf,
    most: float = math.inf,
    groups: Any = None,
) -> Estimate:
    """Mean of per-image values with a two-sided interval that allows for skewness.

    Parameters
    ----------
    values : array, (n_images,)
        Infinite ones (the PSNR of a perfect reconstruction) leave the mean undefined.
    confidence : float in (0, 1)
    seed : int
        The same seed gives the same interval.
    least, most : float, optional
        What the mean can be at all, 0 and 1 for a share; the interval goes no further. With a
        finite `least`, as of errors, ``caveat`` says what so few images cannot show: rare broken
        ones (docs/metrics/intervals.md).
    groups : array, (n_images,), or Groups, optional
        What was sampled together: the part that an image shows, the patient. None: each image by
        itself.

    Returns
    -------
    Estimate
        ``value`` None with no values or an infinite one; no bounds with one value, with all values
        alike, since then nothing shows how they spread, or with fewer than five groups.

    Raises
    ------
    RangeError
        If a value is NaN.

    Examples
    --------
    >>> estimate = mean_interval([0.002, 0.0015, 0.005, 0.0008, 0.007])
    >>> round(estimate.value, 5), estimate.low < 0.00326 < estimate.high, estimate.n
    (0.00326, True, 5)
    """
    column, grouped = _values("mean_interval", groups, values=values)
    estimate = _mean_estimate(column[0], grouped, confidence, seed, "mean_interval")
    if estimate.low is None or estimate.high is None:
        return estimate
    bounds = {"low": max(estimate.low, least), "high": min(estimate.high, most)}
    caveat = estimate.caveat
    if caveat is None and math.isfinite(least):
        caveat = _unseen(estimate, "images" if grouped is None else "groups")
    return estimate.model_copy(update={**bounds, "caveat": caveat})


def _unseen(estimate: Estimate, units: str) -> str | None:
    """What an interval from so few cannot know; by the rule of three."""
    n = estimate.n if units == "images" else estimate.n_groups or 0
    if n >= _RARE_SEEN_FROM:
        return None
    share = 1 - (1 - estimate.confidence) ** (1 / n)
    return (
        f"{units.capitalize()} of a kind rarer than {share:.1%} may be missing from these {n}; if"
        " those are broken, the mean lies beyond this interval."
    )


def paired_difference_interval(
    a: Any, b: Any, *, confidence: float = 0.95, seed: int = 0, groups: Any = None
) -> Estimate:
    """Mean of ``a - b`` over the same images, with its interval.

    Whether one model's errors are lower than another's.

    Parameters
    ----------
    a, b : arrays, (n_images,)
        Per-image values of two models, in the same order.
    groups
        As in `mean_interval`.

    Returns
    -------
    Estimate
        As in `mean_interval`; an interval that excludes 0 shows a difference.

    Examples
    --------
    >>> estimate = paired_difference_interval([3.0, 5.0, 4.0, 6.0], [1.0, 4.5, 2.0, 5.0])
    >>> estimate.value, estimate.low > 0
    (1.375, True)
    """
    (first, second), grouped = _values("paired_difference_interval", groups, a=a, b=b)
    finite = bool(np.isfinite(first).all() and np.isfinite(second).all())
    difference = first - second if finite else np.full(len(first), np.inf)
    return _mean_estimate(difference, grouped, confidence, seed, "paired_difference_interval")


def _values(
    where: str, groups: Any, **arrays: Any
) -> tuple[list[NDArray[np.float64]], Groups | None]:
    problems, columns = Problems(where), {}
    for name, array in arrays.items():
        column = np.asarray(array, np.float64)
        if column.ndim != 1:
            problems.add(
                f"{name} must have shape (n_images,)",
                f"shape {column.shape}",
                "Pass one value an image",
                ShapeError,
            )
        elif np.isnan(column).any():
            problems.add(
                f"{name} must not be NaN",
                f"{int(np.isnan(column).sum())} NaN values",
                "Correct or leave out those images",
                RangeError,
            )
        columns[name] = column
    if not problems:
        same_length(problems, **columns)
    n = len(next(iter(columns.values())))
    problems.raise_any()
    return list(columns.values()), as_groups(groups, n)


def _mean_estimate(
    values: NDArray[np.float64], groups: Groups | None, confidence: float, seed: int, where: str
) -> Estimate:
    require_confidence(where, confidence)
    n = len(values)
    if n == 0 or not np.isfinite(values).all():
        return Estimate(value=None, confidence=confidence, n=n)
    mean = float(values.mean())
    if groups is not None:
        return _grouped(values, mean, groups, confidence, seed)
    if n < 2 or np.ptp(values) == 0:
        return Estimate(value=mean, confidence=confidence, n=n)
    error = float(values.std(ddof=1)) / math.sqrt(n)
    low, high = _quantiles(values, confidence, seed)
    return Estimate(
        value=mean, low=mean - high * error, high=mean - low * error, confidence=confidence, n=n
    )


def _grouped(
    values: NDArray[np.float64], mean: float, groups: Groups, confidence: float, seed: int
) -> Estimate:
    n, influence = len(values), (values - mean) / len(values)
    effect = groups.design_effect(influence)
    estimate = Estimate(
        value=mean,
        confidence=confidence,
        n=n,
        n_groups=groups.n_groups,
        n_effective=round(n / effect, 1),
        caveat=caveat_of(groups.n_groups),
    )
    if groups.n_groups < LEAST_GROUPS or np.ptp(values) == 0:
        return estimate
    error = math.sqrt(effect * values.var(ddof=1) / n)
    sums = groups.sums((values - mean) / values.std())
    if len(sums) > _RESAMPLED_UP_TO:
        low, high = _hall(sums, confidence)
    else:
        reach = groups.reach(confidence, effect)
        order = np.lexsort((groups.sizes, sums))  # whichever came first, the interval is one
        bounds = _bootstrap_t(sums[order], groups.sizes[order], confidence, seed)
        low, high = _wider(bounds, reach)
    return estimate.model_copy(update={"low": mean - high * error, "high": mean - low * error})


def _quantiles(values: NDArray[np.float64], confidence: float, seed: int) -> tuple[float, float]:
    """Quantiles of the studentised mean: on either side the wider of Student's and the bootstrap's.

    Student's alone is too short where errors are skewed (83% for ten lognormal ones), the
    bootstrap's alone where they have two long tails, as paired differences do (87% for twenty).
    """
    if len(values) > _RESAMPLED_UP_TO:
        return _hall(values, confidence)
    reach = student_t(confidence, len(values) - 1)
    if len(values) < _RESAMPLED_FROM:
        return -reach, reach
    centred = (values - values.mean()) / values.std()
    return _wider(_bootstrap_t(centred, None, confidence, seed), reach)


def _wider(bounds: tuple[float, float], reach: float) -> tuple[float, float]:
    low, high = bounds
    return min(low, -reach) if math.isfinite(low) else -reach, (
        max(high, reach) if math.isfinite(high) else reach
    )


def _bootstrap_t(
    centred: NDArray[np.float64], sizes: NDArray[np.int64] | None, confidence: float, seed: int
) -> tuple[float, float]:
    """Quantiles of the studentised mean over resamples.

    Of values less their mean, or of their sums over groups of these `sizes`.
    """
    rng, n = np.random.default_rng(seed), len(centred)
    studentised = []
    for _ in range(0, _N_RESAMPLES, 100):
        drawn = rng.integers(n, size=(100, n))
        if sizes is None:
            own = centred[drawn]
            spread, mean = own.std(axis=1, ddof=1), own.mean(axis=1)
        else:
            sums, counts = centred[drawn], sizes[drawn]
            mean = sums.sum(axis=1) / counts.sum(axis=1)
            off = sums - counts * mean[:, np.newaxis]
            spread = np.sqrt((off**2).sum(axis=1) / (n - 1)) / counts.mean(axis=1)
        # A resample of one value again and again shows no spread but rounding's: infinitely far
        # out, on the side of its mean.
        studentised.append(
            np.divide(
                mean * math.sqrt(n), spread, out=np.copysign(np.inf, mean), where=spread > _DUST
            )
        )
    low, high = np.quantile(
        np.concatenate(studentised), ((1 - confidence) / 2, (1 + confidence) / 2), method="nearest"
    )
    return float(low), float(high)


def _hall(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Quantiles of the studentised mean from its skewness, by Hall's cubic transformation."""
    z, n = two_sided_z(confidence), len(values)
    centred = values - values.mean()
    skewness = float((centred**3).mean() / (centred**2).mean() ** 1.5)
    if abs(skewness) < 1e-6:
        return -z, z
    a = skewness / (6 * math.sqrt(n))

    def inverse(x: float) -> float:
        return (math.cbrt(1 + 6 * a * (x - a)) - 1) / (2 * a)

    return inverse(-z), inverse(z)
