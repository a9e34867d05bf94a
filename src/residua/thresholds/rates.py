"""What a threshold does on scores whose labels are known: rates with intervals."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua.records import Estimate


def is_flagged(scores: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Which scores are called anomalous.

    Strictly above the threshold, compared in the scores' own precision.

    Examples
    --------
    >>> is_flagged(np.array([0.002, 0.0015, 0.005, 0.0008, 0.007]), 0.004).tolist()
    [False, False, True, False, True]
    >>> is_flagged(np.array([0.004], np.float32), 0.004).tolist()
    [False]
    """
    scores = np.asarray(scores)
    with np.errstate(over="ignore"):
        limit = (
            scores.dtype.type(threshold) if np.issubdtype(scores.dtype, np.floating) else threshold
        )
    return np.asarray(scores > limit)


def rates_at(
    threshold: float,
    scores: NDArray[Any],
    is_anomalous: NDArray[np.bool_] | None = None,
    *,
    confidence: float = 0.95,
    prevalence: float | None = None,
    method: Literal["wilson", "clopper-pearson"] = "clopper-pearson",
) -> dict[str, Estimate]:
    """Rates of a threshold on labelled scores: those that the labels define.

    ``false_alarm_rate`` (share of normals flagged), ``recall`` (share of anomalies flagged),
    ``precision`` (share of flagged images that are anomalous, at the share of anomalies in these
    scores), ``f1``; with a `prevalence`, also ``precision_at_prevalence``. Intervals are two-sided,
    by `method`: Clopper-Pearson's cover at least what they state, Wilson's on average. F1's is that
    of the share of true positives among all that are anomalous or flagged, J, of which it is the
    monotone function 2J / (1 + J).

    Parameters
    ----------
    threshold : float
    scores : float array, (n_images,)
    is_anomalous : bool array, (n_images,), optional
        None takes every image for normal.

    Examples
    --------
    >>> rates = rates_at(0.5, np.array([0.1, 0.6, 0.9]), np.array([False, False, True]))
    >>> {name: rate.value for name, rate in rates.items()}
    {'false_alarm_rate': 0.5, 'recall': 1.0, 'precision': 0.5, 'f1': 0.6666666666666666}
    """
    from residua.metrics.intervals import f1_interval, rate_interval

    flagged = is_flagged(scores, threshold)
    anomalous = (
        np.zeros(len(flagged), np.bool_)
        if is_anomalous is None
        else np.asarray(is_anomalous, np.bool_)
    )
    hits, n_anomalous = int((flagged & anomalous).sum()), int(anomalous.sum())
    alarms, n_normal = int((flagged & ~anomalous).sum()), int((~anomalous).sum())

    rate = partial(rate_interval, confidence=confidence, method=method)

    rates = {"false_alarm_rate": rate(alarms, n_normal)} if n_normal else {}
    if n_anomalous == 0:
        return rates
    rates["recall"] = rate(hits, n_anomalous)
    if n_normal:
        rates["precision"] = rate(hits, hits + alarms)
        rates["f1"] = f1_interval(
            hits, n_anomalous + hits + alarms, confidence=confidence, method=method
        )
        if prevalence is not None:
            rates["precision_at_prevalence"] = _precision_at(
                prevalence, (hits, n_anomalous), (alarms, n_normal), confidence
            )
    return rates


def _precision_at(
    prevalence: float, found: tuple[int, int], false: tuple[int, int], confidence: float
) -> Estimate:
    """Precision at another share of anomalies.

    Recall and false alarms are bounded together (Bonferroni).
    """
    from residua.metrics.intervals import rate_interval

    each = 1 - (1 - confidence) / 2
    recall = rate_interval(*found, confidence=each, method="clopper-pearson")
    alarm = rate_interval(*false, confidence=each, method="clopper-pearson")

    def precision(recall_rate: float | None, alarm_rate: float | None) -> float | None:
        hits, alarms = prevalence * (recall_rate or 0.0), (1 - prevalence) * (alarm_rate or 0.0)
        return hits / (hits + alarms) if hits + alarms > 0 else None

    return Estimate(
        value=precision(recall.value, alarm.value),
        low=precision(recall.low, alarm.high),
        high=precision(recall.high, alarm.low),
        confidence=confidence,
        n=found[1] + false[1],
    )
