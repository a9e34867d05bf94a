"""Paired tests of two models on the same images: McNemar's for shares, DeLong's for ranks,
influences for average precision, a bootstrap for means; each also by groups of images.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from residua.metrics import (
    average_precision_difference,
    paired_difference_interval,
    roc_auc_difference,
)
from residua.metrics._confidence import unpaired_bounds
from residua.metrics.delong import area_influence
from residua.metrics.groups import Groups
from residua.metrics.intervals import share_interval
from residua.metrics.precision_difference import paired_variance, precision_gap_influence
from residua.records import Estimate

_MOST_STEPS = 100_000_000


class Paired(NamedTuple):
    """A difference ``a - b`` with its interval, its two-sided p-value or None, and the test."""

    difference: Estimate
    p_value: float | None
    method: str

    def is_shown(self, level: float, n_pairs: int = 1) -> bool:
        """Whether the interval excludes 0, and the p-value times `n_pairs` lies below `level`."""
        low, high = self.difference.low, self.difference.high
        if low is None or high is None or self.p_value is None:
            return False
        return (low > 0 or high < 0) and min(1.0, self.p_value * n_pairs) < level


def paired_shares(
    a: NDArray[np.bool_],
    b: NDArray[np.bool_],
    *,
    confidence: float,
    seed: int = 0,
    groups: Groups | None = None,
) -> Paired:
    """Whether each image is right, under two models: McNemar's exact test on the images where they
    differ; in groups, the exact test of signs that are exchanged for whole groups.

    - `a`, `b`: bool (n_images,).

    >>> a, b = np.ones(100, bool), np.arange(100) >= 10
    >>> found = paired_shares(a, b, confidence=0.95)
    >>> round(found.difference.value, 2), round(found.p_value, 4), found.difference.low > 0
    (0.1, 0.002, True)
    """
    difference = paired_difference_interval(
        a.astype(np.float64),
        b.astype(np.float64),
        confidence=confidence,
        seed=seed,
        groups=groups,
    )
    if difference.value and difference.low is None:  # one is right everywhere, the other nowhere
        own = [share_interval(one, groups, confidence=confidence) for one in (a, b)]
        low, high = unpaired_bounds(*own)
        difference = difference.model_copy(update={"low": low, "high": high})
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    said = f"the first alone is right on {only_a:,} images, the second alone on {only_b:,}"
    gaps = a.astype(np.float64) - b
    sums = gaps if groups is None else groups.sums(gaps)
    method = "McNemar, exact" if groups is None else "signs by group, exact"
    return Paired(difference, exchanged_signs(sums.astype(np.int64)), f"{method}: {said}")


def exchanged_signs(gaps: NDArray[np.int64]) -> float:
    """The chance of a sum so far from 0 where each of the `gaps` (n_groups,) may have either sign.

    With gaps of 1 it is McNemar's exact test. Beyond a hundred million steps the normal law.

    >>> round(exchanged_signs(np.array([1] * 9 + [-1])), 4), exchanged_signs(np.array([5, 5]))
    (0.0215, 0.5)
    """
    sizes, total = np.abs(gaps[gaps != 0]), abs(int(gaps.sum()))
    reach = int(sizes.sum())
    if len(sizes) * reach > _MOST_STEPS:
        return _two_sided(float(total), math.sqrt(float((sizes.astype(np.float64) ** 2).sum())))
    chances = np.ones(1)  # of each sum of those that turned negative
    for size in sizes.tolist():
        padded = np.zeros(len(chances) + size)
        padded[: len(chances)] = chances / 2
        padded[size:] += chances / 2
        chances = padded
    off = np.abs(reach - 2 * np.arange(reach + 1))
    return float(min(1.0, chances[off >= total].sum()))


def paired_means(
    a: NDArray[Any],
    b: NDArray[Any],
    *,
    confidence: float,
    seed: int = 0,
    groups: Groups | None = None,
) -> Paired:
    """The paired difference of means with a bootstrap-t interval, and Student's test."""
    difference = paired_difference_interval(a, b, confidence=confidence, seed=seed, groups=groups)
    gaps = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    if groups is None:
        p_value = _two_sided(difference.value, _standard_error(gaps))
        return Paired(difference, p_value, "paired differences, bootstrap-t")
    p_value = None
    if difference.value is not None:
        influence = (gaps - gaps.mean()) / len(gaps)
        effect = groups.design_effect(influence)
        error = math.sqrt(effect) * (_standard_error(gaps) or 0.0)
        p_value = _two_sided(difference.value, error, groups.degrees_of_freedom(effect))
    return Paired(difference, p_value, "paired differences, bootstrap-t of groups")


def paired_roc_auc(
    is_anomalous: NDArray[np.bool_],
    a: NDArray[Any],
    b: NDArray[Any],
    *,
    confidence: float,
    groups: Groups | None = None,
) -> Paired:
    """Areas under the ROC curve, by DeLong's paired variance, in groups by Obuchowski's."""
    difference = roc_auc_difference(is_anomalous, a, b, confidence=confidence, groups=groups)
    method = "DeLong, paired" + ("" if groups is None else ", by groups (Obuchowski)")
    if difference.value is None:
        return Paired(difference, None, method)
    if groups is not None:
        influence = area_influence(is_anomalous, a)[0] - area_influence(is_anomalous, b)[0]
        p_value = _by_influence(difference.value, is_anomalous, influence, groups)
        if p_value is not None:
            return Paired(difference, p_value, method)
    error = None
    if difference.low is not None and difference.high is not None:
        reach = max(
            difference.value - difference.low, difference.high - difference.value
        )  # one end may be cut off at 1
        error = reach / NormalDist().inv_cdf((1 + confidence) / 2)
    return Paired(difference, _two_sided(difference.value, error), method)


def paired_average_precision(
    is_anomalous: NDArray[np.bool_],
    a: NDArray[Any],
    b: NDArray[Any],
    *,
    confidence: float,
    groups: Groups | None = None,
) -> Paired:
    """Average precisions, by how the errors of both go together, and Student's test."""
    difference = average_precision_difference(
        is_anomalous, a, b, confidence=confidence, groups=groups
    )
    p_value = None
    if difference.value is not None:
        influence = precision_gap_influence(is_anomalous, np.asarray(a), np.asarray(b))
        p_value = _by_influence(difference.value, is_anomalous, influence, groups)
    method = "paired influences, Student"
    return Paired(difference, p_value, method if groups is None else f"{method}, by groups")


def _by_influence(
    value: float | None,
    is_anomalous: NDArray[np.bool_],
    influence: NDArray[np.float64],
    groups: Groups | None,
) -> float | None:
    if value is None:
        return None
    variance, degrees_of_freedom = paired_variance(is_anomalous, influence, groups)
    return None if not variance > 0 else _two_sided(value, math.sqrt(variance), degrees_of_freedom)


def _standard_error(gaps: NDArray[np.float64]) -> float | None:
    if len(gaps) < 2 or not np.isfinite(gaps).all():
        return None
    return float(gaps.std(ddof=1)) / math.sqrt(len(gaps))


@overload
def _two_sided(value: float, error: float, degrees_of_freedom: float | None = ...) -> float: ...


@overload
def _two_sided(
    value: float | None, error: float | None, degrees_of_freedom: float | None = ...
) -> float | None: ...


def _two_sided(
    value: float | None, error: float | None, degrees_of_freedom: float | None = None
) -> float | None:
    """The chance of so large a difference where there is none, by the normal law or Student's."""
    if value is None or error is None:
        return None
    if error == 0:
        return 1.0 if value == 0 else 0.0
    if degrees_of_freedom is not None:
        from scipy.special import stdtr

        return float(2 * stdtr(degrees_of_freedom, -abs(value) / error))
    return float(2 * (1 - NormalDist().cdf(abs(value) / error)))
