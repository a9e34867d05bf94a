"""ROC and precision-recall curves at every threshold that matters.

They are thinned without changing the area.

Both take ``(labels, scores)``, labels True or 1 = anomalous (positive), scores of any scale, higher
= more anomalous.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import check_within
from residua.metrics._ranks import insertion_points, labelled_scores, sorted_class

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
