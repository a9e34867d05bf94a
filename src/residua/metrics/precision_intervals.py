"""An interval for average precision without re-sorting.

Resampled counts over the sorted distinct scores of the anomalous images.

A resample only changes how often each anomalous score is drawn and how many normal images fall
between two of them, so a resample costs two multinomials and a cumulative sum. The larger of its
variance and of the delta method's (the mean squared influence of an image) goes onto the logit
scale with Student's quantile: average precision is biased upwards in small samples, and the
percentiles of the bootstrap, which repeat that bias, cover 81% to 90% of the time where this covers
93% to 97%. Where there are too many anomalous images to resample, the delta method stands alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.metrics._confidence import check_confidence, logit_interval, student_t, two_sided_z
from residua.metrics._ranks import labelled_scores, places, sorted_class
from residua.metrics.delong import area_bounds
from residua.metrics.groups import Groups, as_groups, spread_by_groups
from residua.records import Estimate

# Counts drawn at once, and in all before the delta method takes over.
_ENTRIES = 1_000_000
_DRAWN_UP_TO = 5_000_000


@dataclass(frozen=True)
class _Ladder:
    """Distinct scores of the anomalous images, descending.

    How many stand on each rung, and how many normals reach it first.
    """

    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]
    n_negative: int

    @property
    def n_positive(self) -> int:
        return int(self.positives.sum())


def _ladder(truth: NDArray[np.bool_], values: NDArray[Any]) -> _Ladder:
    keys = sorted_class(truth, values, True)
    n_negative = len(values) - len(keys)
    blocks = [
        (block.equal, n_negative - block.others_below) for block in places(keys, np.sort(values))
    ]
    positives = np.concatenate([equal for equal, _ in blocks])[::-1]
    reaching = np.concatenate([at_least for _, at_least in blocks])[::-1]
    return _Ladder(positives, np.diff(reaching, prepend=0), n_negative)


def average_precision_interval(
    labels: Any,
    scores: Any,
    *,
    groups: Any = None,
    confidence: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Average precision with a stratified interval.

    Class sizes stay as they are, and so does the prevalence it speaks of.

    Parameters
    ----------
    labels : bool or 0/1 array, (n_images,)
        True or 1 = anomalous.
    scores : float array, (n_images,)
        Of any finite scale, higher = more anomalous.
    groups : array, (n_images,), optional
        Names of what the images were sampled in: influences are then summed over each group.
    confidence : float in (0, 1)
    n_resamples : int >= 100
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    Estimate
        ``value`` None with one class only; no bounds with fewer than two images of either class.

    Examples
    --------
    >>> estimate = average_precision_interval(
    ...     [0] * 20 + [1] * 20, list(range(20)) + list(range(10, 30))
    ... )
    >>> round(estimate.value, 3), estimate.low < estimate.value < estimate.high
    (0.879, True)
    """
    problems = Problems("average_precision_interval")
    check_confidence(confidence, problems)
    problems.within("n_resamples", n_resamples, "[100, inf)", "Pass 1000")
    problems.raise_any()
    truth, values = labelled_scores("average_precision_interval", labels, scores)
    n_positive = int(np.count_nonzero(truth))
    if n_positive in (0, len(truth)):
        return Estimate(value=None, confidence=confidence, n=len(truth))
    ladder = _ladder(truth, values)
    value = float(_average_precision(ladder.positives[np.newaxis], ladder.negatives[np.newaxis])[0])
    if (grouped := as_groups(groups, len(truth))) is not None:
        return _grouped(truth, values, grouped, value, confidence)
    bounds = None
    effective = n_positive, len(truth) - n_positive
    if min(effective) >= 2:
        reach = student_t(confidence, min(effective) - 1)
        bounds = _bounds(ladder, value, reach, n_resamples, seed)
        bounds = _widened(bounds, truth, values, effective, two_sided_z(confidence))
    low, high = bounds or (None, None)
    return Estimate(value=value, low=low, high=high, confidence=confidence, n=len(truth))


def _bounds(
    ladder: _Ladder, value: float, reach: float, n_resamples: int, seed: int
) -> tuple[float, float] | None:
    variance = influence_variance(ladder)
    if len(ladder.positives) * n_resamples <= _DRAWN_UP_TO:
        resampled = _resample(ladder, n_resamples, np.random.default_rng(seed))
        variance = max(variance, float(resampled.var(ddof=1)))
    if not 0 < value < 1 or variance == 0:
        return None
    return logit_interval(value, variance, reach)


def _widened(
    bounds: tuple[float, float] | None,
    truth: NDArray[np.bool_],
    values: NDArray[Any],
    effective: tuple[float, float],
    reach: float,
) -> tuple[float, float] | None:
    """`bounds` as far as those of the area under the ROC curve reach, where mistakes are few.

    Near a perfect separation the images at hand show no spread, or too little.
    """
    areas = area_bounds(truth, values, effective, reach)
    if areas is None:
        return bounds
    prevalence = float(truth.mean())
    ends = [precision_at_area(area, prevalence) for area in areas]
    return ends[0] if bounds is None else min(bounds[0], ends[0]), (
        ends[1] if bounds is None else max(bounds[1], ends[1])
    )


def precision_at_area(area: float, prevalence: float) -> float:
    """Average precision of two normal score distributions of equal spread.

    >>> round(precision_at_area(0.5, 0.2), 3), round(precision_at_area(0.9, 0.2), 3)
    (0.2, 0.736)
    """
    from scipy.special import ndtr, ndtri

    if area >= 1:
        return 1.0
    shift = float(ndtri(max(area, 1e-12))) * math.sqrt(2)
    steps = (np.arange(2000) + 0.5) / 2000
    found, false = prevalence * (1 - steps), (1 - prevalence) * ndtr(-(ndtri(steps) + shift))
    return float((found / (found + false)).mean())


def _grouped(
    truth: NDArray[np.bool_],
    values: NDArray[Any],
    groups: Groups,
    value: float,
    confidence: float,
) -> Estimate:
    spread = spread_by_groups(truth, average_precision_influence(truth, values), groups, values)
    bounds = None
    if spread.is_enough and spread.variance > 0 and 0 < value < 1:
        bounds = logit_interval(value, spread.variance, spread.reach(confidence))
    if spread.is_enough:
        bounds = _widened(bounds, truth, values, spread.effective, spread.reach(confidence))
    return spread.estimate(value, bounds, confidence)


def average_precision_influence(
    truth: NDArray[np.bool_], values: NDArray[Any]
) -> NDArray[np.float64]:
    """What each image adds to the error of average precision, (n_images,)."""
    rungs, place, count = np.unique(-values[truth], return_inverse=True, return_counts=True)
    m, n = int(truth.sum()), int((~truth).sum())
    reached = np.searchsorted(rungs, -values[~truth])  # the first rung that a normal image reaches
    true = count.cumsum()
    false = np.bincount(reached, minlength=len(rungs) + 1)[:-1].cumsum()
    precision, share = true / (true + false), count / m
    mean = float(np.dot(share, precision))
    by_true = share * m * false / (true + false) ** 2
    by_false = -share * n * true / (true + false) ** 2
    made = np.empty(len(truth))
    felt = by_true[::-1].cumsum()[::-1]
    made[truth] = (precision - mean + felt - np.dot(by_true, true / m))[place] / m
    felt = np.append(by_false[::-1].cumsum()[::-1], 0.0)
    made[~truth] = (felt[reached] - np.dot(by_false, false / n)) / n
    return made


def _resample(ladder: _Ladder, n_resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    below = ladder.n_negative - int(ladder.negatives.sum())
    shares = np.append(ladder.negatives, below) / ladder.n_negative
    step, parts = max(1, _ENTRIES // len(shares)), []
    for start in range(0, n_resamples, step):
        k = min(step, n_resamples - start)
        positives = rng.multinomial(ladder.n_positive, ladder.positives / ladder.n_positive, size=k)
        negatives = rng.multinomial(ladder.n_negative, shares, size=k)[:, :-1]
        parts.append(_average_precision(positives, negatives))
    return np.concatenate(parts)


def _average_precision(
    positives: NDArray[np.int64], negatives: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Average precision of each row of counts, (k, n_rungs)."""
    true = positives.cumsum(axis=1)
    flagged = true + negatives.cumsum(axis=1)
    precision = np.divide(true, flagged, out=np.zeros(true.shape), where=flagged > 0)
    return np.asarray(np.einsum("ij,ij->i", positives, precision) / true[:, -1])


def influence_variance(ladder: _Ladder) -> float:
    """Variance of average precision by the delta method.

    The mean squared influence of each image, class by class.
    """
    m, n, share = ladder.n_positive, ladder.n_negative, ladder.positives / ladder.n_positive
    true, false = ladder.positives.cumsum(), ladder.negatives.cumsum()
    flagged = true + false
    precision = true / flagged
    value = float(np.dot(share, precision))
    # How the precision at a rung moves with the share of either class that reaches it, averaged
    # over the rungs at or below.
    by_true, by_false = share * m * false / flagged**2, -share * n * true / flagged**2
    felt = by_true[::-1].cumsum()[::-1]
    of_positive = precision - value + felt - float(np.dot(by_true, true / m))
    felt = by_false[::-1].cumsum()[::-1]
    constant = float(np.dot(by_false, false / n))
    squares = np.dot(ladder.negatives, (felt - constant) ** 2) + (n - int(false[-1])) * constant**2
    return float(np.dot(share, of_positive**2) / (m - 1) + squares / n / (n - 1))
