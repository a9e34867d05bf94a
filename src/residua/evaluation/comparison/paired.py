"""What is compared in each job, and the paired tests of two models on the same images: McNemar's
for shares, DeLong's for ranks, influences for average precision, a bootstrap for means; each also
by groups of images.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from residua.evaluation import Evidence
from residua.metrics import (
    average_precision_difference,
    average_precision_interval,
    mean_interval,
    paired_difference_interval,
    roc_auc_difference,
    roc_auc_interval,
)
from residua.metrics.delong import area_influence
from residua.metrics.groups import Groups
from residua.metrics.intervals import share_interval
from residua.metrics.precision_difference import paired_variance, precision_gap_influence
from residua.records import Estimate, Job

_MOST_STEPS = 100_000_000


class Paired(NamedTuple):
    """A difference ``a - b`` with its interval, its two-sided p-value (None where there is none),
    and the name of the test.
    """

    difference: Estimate
    p_value: float | None
    method: str


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
        a.astype(np.float64),
        b.astype(np.float64),
        confidence=confidence,
        seed=seed,
        groups=groups,
    )
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    said = f"{only_a:,} images right for the first alone, {only_b:,} for the second"
    if groups is not None:
        gaps = groups.sums(a.astype(np.float64) - b).astype(np.int64)
        return Paired(difference, exchanged_signs(gaps), f"signs by group, exact: {said}")
    from scipy.stats import binomtest  # most of a second to load, and needed here alone

    return Paired(
        difference,
        float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0,
        f"McNemar, exact: {said}",
    )


def exchanged_signs(gaps: NDArray[np.int64]) -> float:
    """The chance of a sum so far from 0 where each of the `gaps` (n_groups,) may have either sign.

    With gaps of 1 it is McNemar's exact test. Beyond a hundred million steps the normal law.

    Examples
    --------
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
    """Means of a value an image: the paired differences' mean with a bootstrap-t interval, and
    Student's test.
    """
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
    if groups is not None:
        influence = area_influence(is_anomalous, a)[0] - area_influence(is_anomalous, b)[0]
        p_value = _by_influence(difference.value, is_anomalous, influence, groups)
        return Paired(difference, p_value, "DeLong, paired, by groups (Obuchowski)")
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
    """The chance of a difference at least so large where there is none, by the normal law, or by
    Student's.
    """
    if value is None or error is None:
        return None
    if error == 0:
        return 1.0 if value == 0 else 0.0
    if degrees_of_freedom is not None:
        from scipy.special import stdtr

        return float(2 * stdtr(degrees_of_freedom, -abs(value) / error))
    return float(2 * (1 - NormalDist().cdf(abs(value) / error)))


@dataclass(frozen=True)
class Images:
    """What is known of the shared images: a detector's labels, and what was sampled together."""

    flags: NDArray[np.bool_] | None = None
    groups: Groups | None = None

    @property
    def is_anomalous(self) -> NDArray[np.bool_]:
        """A detector's labels, (n_images,)."""
        return np.asarray(self.flags, np.bool_)


@dataclass(frozen=True)
class Measure:
    """A metric that two models of a job can be compared in.

    ``column`` gives an image's value under a model, or None where the evidence lacks it.
    ``estimate`` makes the model's metric of it, ``test`` compares two columns; both also get what
    is known of the images.
    """

    name: str
    higher_is_better: bool
    column: Callable[[Evidence, NDArray[np.int64]], NDArray[Any] | None]
    estimate: Callable[[NDArray[Any], Images, float], Estimate]
    test: Callable[[NDArray[Any], NDArray[Any], Images, float], Paired]


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
    least = -math.inf if higher else 0.0
    return Measure(
        name,
        higher,
        _column(name),
        lambda values, images, confidence: mean_interval(
            values, confidence=confidence, least=least, groups=images.groups
        ),
        lambda a, b, images, confidence: paired_means(
            a, b, confidence=confidence, groups=images.groups
        ),
    )


_ACCURACY = Measure(
    "accuracy",
    True,
    _column("right"),
    lambda right, images, confidence: share_interval(
        right > 0.5, images.groups, confidence=confidence
    ),
    lambda a, b, images, confidence: paired_shares(
        a > 0.5, b > 0.5, confidence=confidence, groups=images.groups
    ),
)
_LOG_LOSS = _mean_of("log_loss", higher=False)
_ROC_AUC = Measure(
    "roc_auc",
    True,
    _scores,
    lambda scores, images, confidence: roc_auc_interval(
        images.is_anomalous, scores, confidence=confidence, groups=images.groups
    ),
    lambda a, b, images, confidence: paired_roc_auc(
        images.is_anomalous, a, b, confidence=confidence, groups=images.groups
    ),
)
_AVERAGE_PRECISION = Measure(
    "average_precision",
    True,
    _scores,
    lambda scores, images, confidence: average_precision_interval(
        images.is_anomalous, scores, confidence=confidence, groups=images.groups
    ),
    lambda a, b, images, confidence: paired_average_precision(
        images.is_anomalous, a, b, confidence=confidence, groups=images.groups
    ),
)
