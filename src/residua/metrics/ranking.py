"""How well scores rank anomalous images above normal ones.

The areas under the ROC and precision-recall curves, and these curves, thinned without changing the
area.

Every function takes ``(labels, scores)``, labels True or 1 = anomalous (positive), scores of any
scale, higher = more anomalous. Only the order of the scores matters, ties are exact, and with one
class present every area is ``nan``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import check_within
from residua.metrics._ranks import (
    insertion_points,
    labelled_scores,
    places,
    sorted_class,
    twice_wins,
)

__all__ = [
    "average_precision",
    "partial_roc_auc",
    "precision_recall_curve",
    "roc_auc",
    "roc_curve",
    "summed_precision",
]


def roc_auc(labels: Any, scores: Any, *, max_fpr: float | None = None) -> float:
    """Area under the ROC curve.

    The chance that an anomalous image scores above a normal one, ties counting half.

    Exact: an integer count of pairs, divided once. Costs a value sort of the scores; the extra
    memory is at most 8 bytes a float32 score.

    Parameters
    ----------
    labels : bool or 0/1 array, (n_images,)
        True or 1 = anomalous.
    scores : float array, (n_images,)
        Of any finite scale, higher = more anomalous.
    max_fpr : float in (0, 1], optional
        Only the part of the curve up to this false-positive rate, standardised by McClish so that
        chance is 0.5 and perfection 1 (as scikit-learn does). `partial_roc_auc` is the plain area.

    Returns
    -------
    float
        In [0, 1], 0.5 = chance, 1 = perfect; ``nan`` with one class only.

    Raises
    ------
    RangeError
        If scores are NaN or infinite, or `max_fpr` is outside (0, 1].
    LabelError
        If labels are not 0 and 1.
    ShapeError
        If lengths differ.

    Examples
    --------
    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    >>> roc_auc([False, False, True], [30.0, 30.0, 60.0])
    1.0
    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], max_fpr=0.5)
    0.6666666666666666
    """
    if max_fpr is not None and max_fpr != 1:
        area = partial_roc_auc(labels, scores, max_fpr=max_fpr)
        chance = max_fpr**2 / 2
        return 0.5 * (1 + (area - chance) / (max_fpr - chance))
    truth, values = labelled_scores("roc_auc", labels, scores)
    n_positive = int(np.count_nonzero(truth))
    n_pairs = n_positive * (len(truth) - n_positive)
    if n_pairs == 0:
        return math.nan
    positives_are_keys = 2 * n_positive <= len(truth)
    wins = twice_wins(sorted_class(truth, values, positives_are_keys), np.sort(values))
    return (wins if positives_are_keys else 2 * n_pairs - wins) / (2 * n_pairs)


def partial_roc_auc(labels: Any, scores: Any, *, max_fpr: float) -> float:
    """Area under the ROC curve from false-positive rate 0 to `max_fpr`, not standardised.

    Parameters
    ----------
    labels, scores
        As in `roc_auc`.
    max_fpr : float in (0, 1]
        The last point is interpolated linearly along the curve.

    Returns
    -------
    float
        In [0, max_fpr]; ``nan`` with one class only.

    Examples
    --------
    >>> partial_roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], max_fpr=0.5)
    0.25
    """
    mend = "Pass the largest false-positive rate of interest"
    check_within("roc_auc", "max_fpr", max_fpr, "(0, 1]", mend)
    truth, values = labelled_scores("roc_auc", labels, scores)
    negatives, positives = sorted_class(truth, values, False), sorted_class(truth, values, True)
    if not len(negatives) or not len(positives):
        return math.nan
    limit = max_fpr * len(negatives)
    # The curve up to `limit` false positives is decided by the highest negatives alone.
    floor = negatives[len(negatives) - math.ceil(limit)]
    negatives_above = negatives[np.searchsorted(negatives, floor, "left") :]
    positives_above = positives[np.searchsorted(positives, floor, "left") :]
    thresholds = np.unique(np.concatenate((negatives_above, positives_above)))[::-1]
    false = np.concatenate(([0], _at_least(negatives_above, thresholds)))
    true = np.concatenate(([0], _at_least(positives_above, thresholds)))
    return _area_up_to(false, true, limit) / (len(negatives) * len(positives))


def _area_up_to(false: NDArray[np.int64], true: NDArray[np.int64], limit: float) -> float:
    if false[-1] > limit:
        last = float(np.interp(limit, false[-2:], true[-2:]))
        false, true = np.append(false[:-1], limit), np.append(true[:-1], last)
    return float(np.trapezoid(true, false))


def _at_least(ascending: NDArray[Any], thresholds: NDArray[Any]) -> NDArray[np.int64]:
    """How many of the sorted values reach each threshold."""
    return len(ascending) - np.searchsorted(ascending, thresholds, "left")


def average_precision(labels: Any, scores: Any) -> float:
    """Mean of the precisions at the thresholds that just find each anomalous image.

    The step-wise area under the precision-recall curve, ``sum((R_k - R_{k-1}) P_k)`` over distinct
    thresholds, as scikit-learn defines it; never the trapezoidal area, which is too optimistic.
    Chance is the share of anomalous images, not 0.5.

    Parameters
    ----------
    labels, scores
        As in `roc_auc`.

    Returns
    -------
    float
        In (0, 1], higher is better; ``nan`` with one class only.

    Raises
    ------
    RangeError, LabelError, ShapeError
        As in `roc_auc`.

    Examples
    --------
    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    truth, values = labelled_scores("average_precision", labels, scores)
    positives = sorted_class(truth, values, True)
    n_positive, n_negative = len(positives), len(values) - len(positives)
    if n_positive == 0 or n_negative == 0:
        return math.nan
    return summed_precision(positives, np.sort(values)) / n_positive


def summed_precision(positives: NDArray[Any], everybody: NDArray[Any]) -> float:
    """Sum over the positives of the precision at their own score.

    Both arrays sorted, `everybody` holding the positives.
    """
    n_positive, n_negative = len(positives), len(everybody) - len(positives)
    parts = []
    for block in places(positives, everybody):
        true, false = n_positive - block.below, n_negative - block.others_below
        parts.append(float(np.dot(block.equal, true / (true + false))))
    return math.fsum(parts)


Curve = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[Any]]


def roc_curve(labels: Any, scores: Any, *, max_points: int | None = None) -> Curve:
    """False- and true-positive rates at every threshold that matters, from (0, 0) to (1, 1).

    Points on a straight line between their neighbours are left out, which leaves the trapezoidal
    area exactly as it was.

    Parameters
    ----------
    labels, scores
        As in `residua.metrics.roc_auc`.
    max_points : int >= 2, optional
        Keep at most so many vertices, spread evenly along the curve (by ``fpr + tpr``), both ends
        included. For drawing: the area of the thinned curve is within ``2 / (max_points - 1)`` of
        the exact one, and in practice far closer.

    Returns
    -------
    fpr, tpr : float64 arrays, (n_points,)
        Rates at ``score >= threshold``; all ``nan`` where their class is absent.
    thresholds : float array, (n_points,)
        Descending, in the dtype of the scores; the first is ``inf`` (nothing flagged).

    Examples
    --------
    >>> fpr, tpr, thresholds = roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> fpr, tpr, thresholds
    (array([0. , 0. , 0.5, 0.5, 1. ]), array([0. , 0.5, 0.5, 1. , 1. ]), array([ inf, 0.8 , 0.4 ,
    0.35, 0.1 ]))
    """
    _check_max_points("roc_curve", max_points)
    false, true, thresholds = _counts("roc_curve", labels, scores)
    false, true = np.concatenate(([0], false)), np.concatenate(([0], true))
    thresholds = np.concatenate((np.array([np.inf], thresholds.dtype), thresholds))
    step_false, step_true = np.diff(false), np.diff(true)
    bends = step_false[1:] * step_true[:-1] != step_false[:-1] * step_true[1:]
    ends = [True] if len(false) > 1 else []
    kept = np.flatnonzero(np.concatenate(([True], bends, ends)))
    fpr, tpr = _share(false[kept]), _share(true[kept])
    chosen = _spread(np.nan_to_num(fpr) + np.nan_to_num(tpr), max_points)
    return fpr[chosen], tpr[chosen], thresholds[kept][chosen]


def precision_recall_curve(labels: Any, scores: Any, *, max_points: int | None = None) -> Curve:
    """Precision and recall at every threshold that matters.

    The last point is (1, 0), which has no threshold.

    Of thresholds with equal recall only the first and the last are kept, which leaves
    `average_precision` (the step-wise area ``-sum(diff(recall) * precision[:-1])``) exactly as it
    was.

    Parameters
    ----------
    labels, scores
        As in `residua.metrics.roc_auc`.
    max_points : int >= 2, optional
        Keep at most so many points, spread evenly over the recall, both ends included. For drawing:
        take the area from `average_precision`.

    Returns
    -------
    precision, recall : float64 arrays, (n_points,)
        At ``score >= threshold``, recall descending; recall is all ``nan`` without anomalous
        images.
    thresholds : float array, (n_points - 1,)
        Ascending, in the dtype of the scores.

    Examples
    --------
    >>> precision, recall, thresholds = precision_recall_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> precision.round(2), recall, thresholds
    (array([0.5 , 0.67, 0.5 , 1.  , 1.  ]), array([1. , 1. , 0.5, 0.5, 0. ]), array([0.1 , 0.35, 0.4
    , 0.8 ]))
    """
    _check_max_points("precision_recall_curve", max_points)
    false, true, thresholds = _counts("precision_recall_curve", labels, scores)
    found_more = np.diff(true, prepend=-1) != 0
    kept = np.flatnonzero(found_more | np.roll(found_more, -1))
    precision = np.concatenate(([1.0], true[kept] / (true[kept] + false[kept])))
    recall = np.concatenate(([0.0], _share(true[kept])))
    chosen = _spread(np.nan_to_num(recall), max_points)
    thresholds = thresholds[kept][chosen[1:] - 1]
    return precision[chosen][::-1], recall[chosen][::-1], thresholds[::-1]


def _counts(
    where: str, labels: Any, scores: Any
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """False and true positives at ``score >= threshold``, for every distinct score, descending."""
    truth, values = labelled_scores(where, labels, scores)
    everybody, positives = np.sort(values), sorted_class(truth, values, True)
    first = np.flatnonzero(
        np.concatenate(([True], everybody[1:] != everybody[:-1]))[: len(everybody)]
    )
    thresholds = everybody[first]
    below = [left for _, _, left, _ in insertion_points(positives, thresholds)]
    true = len(positives) - np.concatenate([np.zeros(0, np.int64), *below])
    return (len(everybody) - first - true)[::-1], true[::-1], thresholds[::-1]


def _share(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cumulative counts over their last, or nan where there are none to count."""
    total = counts[-1] if len(counts) else 0
    return counts / total if total else np.full(len(counts), np.nan)


def _check_max_points(where: str, max_points: int | None) -> None:
    if max_points is not None:
        mend = "Pass None to keep every vertex"
        check_within(where, "max_points", max_points, "[2, inf)", mend)


def _spread(position: NDArray[np.float64], max_points: int | None) -> NDArray[np.int64]:
    """Indices of at most `max_points` points, evenly spread over `position`, ends included.

    `position` ascends.
    """
    if max_points is None or len(position) <= max_points:
        return np.arange(len(position))
    nearest = np.searchsorted(position, np.linspace(position[0], position[-1], max_points), "left")
    nearest[0], nearest[-1] = 0, len(position) - 1
    return np.unique(nearest)
