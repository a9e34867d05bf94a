"""What is compared in each job, and the paired tests of two models on the same images: McNemar's
for shares, DeLong's for ranks, resampling for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.evaluation import Evidence
from residua.metrics import (
    average_precision,
    average_precision_interval,
    bootstrap_interval,
    mean_interval,
    paired_difference_interval,
    rate_interval,
    roc_auc_difference,
    roc_auc_interval,
)
from residua.records import Estimate, Job

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


@dataclass(frozen=True)
class Measure:
    """A metric that two models of a job can be compared in.

    ``column`` gives an image's value under a model, or None where the evidence lacks it.
    ``estimate`` makes the model's metric of it, ``test`` compares two columns; both also get the
    labels: 0/1 of a detector, None otherwise.
    """

    name: str
    higher_is_better: bool
    column: Callable[[Evidence, NDArray[np.int64]], NDArray[Any] | None]
    estimate: Callable[[NDArray[Any], NDArray[np.bool_] | None, float], Estimate]
    test: Callable[[NDArray[Any], NDArray[Any], NDArray[np.bool_] | None, float], Paired]


def measures_of(job: Job) -> tuple[Measure, ...]:
    """The measures of a job; the first that all models have is what the sentence is about."""
    errors = tuple(
        _mean_of(name, higher=name in ("psnr", "ssim")) for name in ("mse", "ssim", "psnr")
    )
    if job == "classify":
        return (_ACCURACY, _LOG_LOSS, errors[0])
    return (_ROC_AUC, _AVERAGE_PRECISION) if job == "detect" else errors


def _column(name: str) -> Callable[[Evidence, NDArray[np.int64]], NDArray[Any] | None]:
    def column(evidence: Evidence, rows: NDArray[np.int64]) -> NDArray[Any] | None:
        return (
            np.asarray(evidence.per_image[name], np.float64)[rows]
            if name in evidence.per_image
            else None
        )

    return column


def _scores(evidence: Evidence, rows: NDArray[np.int64]) -> NDArray[Any] | None:
    return None if evidence.scores is None else np.asarray(evidence.scores)[rows]


def _mean_of(name: str, *, higher: bool) -> Measure:
    return Measure(
        name,
        higher,
        _column(name),
        lambda values, _, confidence: mean_interval(values, confidence=confidence),
        lambda a, b, _, confidence: paired_means(a, b, confidence=confidence),
    )


_ACCURACY = Measure(
    "accuracy",
    True,
    _column("right"),
    lambda right, _, confidence: rate_interval(int(right.sum()), len(right), confidence=confidence),
    lambda a, b, _, confidence: paired_shares(a > 0.5, b > 0.5, confidence=confidence),
)
_LOG_LOSS = Measure(
    "log_loss",
    False,
    _column("log_loss"),
    lambda values, _, confidence: mean_interval(values, confidence=confidence, least=0),
    lambda a, b, _, confidence: paired_means(a, b, confidence=confidence),
)
_ROC_AUC = Measure(
    "roc_auc",
    True,
    _scores,
    lambda scores, flags, confidence: roc_auc_interval(flags, scores, confidence=confidence),
    lambda a, b, flags, confidence: paired_roc_auc(np.asarray(flags), a, b, confidence=confidence),
)
_AVERAGE_PRECISION = Measure(
    "average_precision",
    True,
    _scores,
    lambda scores, flags, confidence: average_precision_interval(
        flags, scores, confidence=confidence
    ),
    lambda a, b, flags, confidence: paired_average_precision(
        np.asarray(flags), a, b, confidence=confidence
    ),
)
