"""What it costs to catch most anomalies: the false-alarm rate at a stated recall.

It is the number that a decision turns on, and known elsewhere as the false-positive rate at a
true-positive rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from residua._check import Problems
from residua.metrics._confidence import check_confidence
from residua.metrics._ranks import labelled_scores
from residua.metrics.groups import as_groups, caveat_of
from residua.metrics.intervals import share_interval
from residua.records import Estimate

_DUST = 1e-9
_OPEN = 0.05  # how often all anomalies may lie above the threshold that is looked for


def false_alarms_at_recall(
    labels: Any,
    scores: Any,
    recall: float = 0.9,
    *,
    groups: Any = None,
    confidence: float = 0.95,
) -> Estimate:
    """Share of normal images that score no lower than the threshold which catches `recall`.

    The threshold is the highest one that catches so many of these anomalies. The interval adds what
    is not known of that threshold, from the order of the anomalous scores, to what is not known of
    the share of normal images above it (the squares of both are added, after Newcombe).

    Parameters
    ----------
    labels : bool or 0/1 array, (n_images,)
        True or 1 = anomalous.
    scores : float array, (n_images,)
        Of any finite scale, higher = more anomalous.
    recall : float in (0, 1)
        The share of anomalies to catch.
    groups : array, (n_images,), optional
        Names of what the images were sampled in.
    confidence : float in (0, 1)

    Returns
    -------
    Estimate
        ``n`` is the number of normal images. ``value`` None with one class only. ``high`` is 1 with
        fewer than 29 anomalies (at 0.9): so few do not bound the threshold.

    Raises
    ------
    RangeError, ShapeError, LabelError
        If an option, the scores or the labels do not hold.

    Examples
    --------
    >>> labels = np.repeat([0, 1], [100, 50])
    >>> scores = np.concatenate([np.arange(100), np.arange(60, 160, 2)])
    >>> made = false_alarms_at_recall(labels, scores)
    >>> made.value, round(made.low, 2), round(made.high, 2)
    (0.3, 0.17, 0.42)
    """
    problems = Problems("false_alarms_at_recall")
    check_confidence(confidence, problems)
    problems.within("recall", recall, "(0, 1)", "Pass 0.9 for 90%")
    problems.raise_any()
    truth, values = labelled_scores("false_alarms_at_recall", labels, scores)
    if truth.all() or not truth.any():
        return Estimate(value=None, confidence=confidence, n=int((~truth).sum()))
    grouped = as_groups(groups, len(truth))
    normal, anomalous = values[~truth], np.sort(values[truth])
    n_missed = missed_at(recall, len(anomalous))
    of_normal = None if grouped is None else grouped.of(~truth)
    share = share_interval(
        normal >= anomalous[n_missed], of_normal, scores=normal, confidence=confidence
    )

    def above(rank: int) -> float:
        return float((normal >= anomalous[rank]).mean())

    of_anomalous = None if grouped is None else grouped.of(truth)
    worth = float(len(anomalous))
    if of_anomalous is not None:
        worth = worth / of_anomalous.effect_on_ranks(values[truth])
        few = caveat_of(min(of_anomalous.n_groups, share.n_groups or 0), "groups of a class")
        share = share.model_copy(update={"caveat": few})
    return with_threshold_unknown(share, above, len(anomalous), worth, recall=recall)


def with_threshold_unknown(
    share: Estimate,
    above: Callable[[int], float],
    n_anomalous: int,
    worth: float,
    *,
    recall: float,
) -> Estimate:
    """The `share` of normal images at a threshold, with what is not known of that threshold.

    - `share`: The interval of that share, were the threshold known.
    - `above`: The share of normal images that score no lower than the anomaly of a rank, 0 the
      lowest.
    - `worth`: How many independent anomalies they are worth.
    """
    if share.value is None or share.low is None or share.high is None:
        return share
    missed = 1 - recall
    first, last = _places(missed, worth, share.confidence)
    lower, higher = (min(int(place * n_anomalous), n_anomalous - 1) for place in (first, last))
    # So few anomalies may all lie above what catches the stated share of all that there are.
    is_open = (1 - missed) ** worth > _OPEN
    most = 1.0 if is_open else above(lower)
    down = math.hypot(share.value - share.low, share.value - above(higher))
    up = math.hypot(share.high - share.value, most - share.value)
    high = 1.0 if is_open else min(1.0, share.value + up)
    return share.model_copy(update={"low": max(0.0, share.value - down), "high": high})


def missed_at(recall: float, n_anomalous: int) -> int:
    """How many anomalies may be missed where so many are to be caught.

    >>> missed_at(0.9, 50), missed_at(0.9, 9)
    (5, 0)
    """
    return math.floor((1 - recall) * n_anomalous + _DUST)


def _places(rate: float, worth: float, confidence: float) -> tuple[float, float]:
    """Where among `worth` sorted scores, from 0 to 1, the quantile `rate` lies with confidence."""
    from scipy.special import betaincinv

    tail, n = (1 - confidence) / 2, worth
    low = float(betaincinv(max(rate * n, _DUST), (1 - rate) * n + 1, tail))
    return low, float(betaincinv(rate * n + 1, (1 - rate) * n, 1 - tail))
