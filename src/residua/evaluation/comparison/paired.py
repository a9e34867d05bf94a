"""Paired tests of two models on the same images: McNemar's for shares, DeLong's for ranks,
resampling for the rest.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.metrics import (
    average_precision,
    bootstrap_interval,
    paired_difference_interval,
    roc_auc_difference,
)
from residua.records import Estimate

_N_RESAMPLES = 1000
_MOST_RESAMPLED = 20_000


class Paired(NamedTuple):
    """A difference ``a - b`` with its interval, its two-sided p-value (None where there is none),
    and the name of the test.
    """

    difference: Estimate
    p_value: float | None
    method: str


def paired_shares(
    a: NDArray[np.bool_], b: NDArray[np.bool_], *, confidence: float, seed: int = 0
) -> Paired:
    """Whether each image is right, under two models: McNemar's exact test on the images where they
    differ.

    Parameters
    ----------
    a, b : bool (n_images,)

    Examples
    --------
    >>> a, b = np.ones(100, bool), np.arange(100) >= 10
    >>> found = paired_shares(a, b, confidence=0.95)
    >>> round(found.difference.value, 2), round(found.p_value, 4), found.difference.low > 0
    (0.1, 0.002, True)
    """
    difference = paired_difference_interval(
        a.astype(np.float64), b.astype(np.float64), confidence=confidence, seed=seed
    )
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    from scipy.stats import binomtest  # most of a second to load, and needed here alone

    return Paired(
        difference,
        float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0,
        f"McNemar, exact: {only_a:,} images right for the first alone, {only_b:,} for the second",
    )


def paired_means(a: NDArray[Any], b: NDArray[Any], *, confidence: float, seed: int = 0) -> Paired:
    """Means of a value an image: the paired differences' mean with a bootstrap-t interval, and
    Student's test.
    """
    difference = paired_difference_interval(a, b, confidence=confidence, seed=seed)
    gaps = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return Paired(
        difference,
        _two_sided(difference.value, _standard_error(gaps)),
        "paired differences, bootstrap-t",
    )


def paired_roc_auc(
    is_anomalous: NDArray[np.bool_], a: NDArray[Any], b: NDArray[Any], *, confidence: float
) -> Paired:
    """Areas under the ROC curve, by DeLong's paired variance."""
    difference = roc_auc_difference(is_anomalous, a, b, confidence=confidence)
    error = None
    if difference.low is not None and difference.high is not None and difference.value is not None:
        reach = max(
            difference.value - difference.low, difference.high - difference.value
        )  # one end may be cut off at 1
        error = reach / NormalDist().inv_cdf((1 + confidence) / 2)
    return Paired(difference, _two_sided(difference.value, error), "DeLong, paired")


def paired_average_precision(
    is_anomalous: NDArray[np.bool_],
    a: NDArray[Any],
    b: NDArray[Any],
    *,
    confidence: float,
    seed: int = 0,
) -> Paired:
    """Average precisions: images resampled together, normal and anomalous ones apart."""

    def gap(flags: NDArray[np.bool_], one: NDArray[Any], other: NDArray[Any]) -> float:
        return average_precision(flags, one) - average_precision(flags, other)

    if len(is_anomalous) > _MOST_RESAMPLED:
        value = gap(is_anomalous, a, b)
        return Paired(
            Estimate(value=value if math.isfinite(value) else None, n=len(a)),
            None,
            "too many images to resample",
        )
    difference = bootstrap_interval(
        gap,
        is_anomalous,
        a,
        b,
        stratify=is_anomalous,
        confidence=confidence,
        n_resamples=_N_RESAMPLES if len(a) <= 2000 else 200,
        seed=seed,
    )
    error = None
    if difference.low is not None and difference.high is not None:
        error = (difference.high - difference.low) / 2 / NormalDist().inv_cdf((1 + confidence) / 2)
    return Paired(difference, _two_sided(difference.value, error), "paired bootstrap")


def _standard_error(gaps: NDArray[np.float64]) -> float | None:
    if len(gaps) < 2 or not np.isfinite(gaps).all():
        return None
    return float(gaps.std(ddof=1)) / math.sqrt(len(gaps))


def _two_sided(value: float | None, error: float | None) -> float | None:
    """The chance of a difference at least so large where there is none, by the normal law."""
    if value is None or error is None:
        return None
    if error == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * (1 - NormalDist().cdf(abs(value) / error)))
