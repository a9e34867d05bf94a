"""What a threshold does on scores whose labels are known: rates with intervals."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua.metrics.groups import as_groups
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
    groups: Any = None,
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
    groups : array, (n_images,), optional
        What was sampled together, by name. Intervals then take the effective number of images
        (Korn and Graubard, 1998), which the estimates name beside the number of groups.

    Examples
    --------
    >>> rates = rates_at(0.5, np.array([0.1, 0.6, 0.9]), np.array([False, False, True]))
    >>> {name: rate.value for name, rate in rates.items()}
    {'false_alarm_rate': 0.5, 'recall': 1.0, 'precision': 0.5, 'f1': 0.6666666666666666}
    """
    from residua.metrics.intervals import f1_of_share, share_interval

    flagged = is_flagged(scores, threshold)
    anomalous = (
        np.zeros(len(flagged), np.bool_)
        if is_anomalous is None
        else np.asarray(is_anomalous, np.bool_)
    )
    read = as_groups(groups, len(flagged))

    def rate(
        success: NDArray[np.bool_],
        among: NDArray[np.bool_],
        how: Literal["wilson", "clopper-pearson"] = method,
        sure: float = confidence,
    ) -> Estimate:
        return share_interval(
            success[among],
            None if read is None else read.of(among),
            scores=np.asarray(scores)[among],
            confidence=sure,
            method=how,
        )

    rates = {} if anomalous.all() else {"false_alarm_rate": rate(flagged, ~anomalous)}
    if not anomalous.any():
        return rates
    rates["recall"] = rate(flagged, anomalous)
    if not anomalous.all():
        rates["precision"] = rate(anomalous, flagged)
        rates["f1"] = f1_of_share(rate(flagged & anomalous, flagged | anomalous))
        if prevalence is not None:
            # Recall and false alarms are bounded together (Bonferroni).
            each = 1 - (1 - confidence) / 2
            rates["precision_at_prevalence"] = precision_at(
                prevalence,
                rate(flagged, anomalous, "clopper-pearson", each),
                rate(flagged, ~anomalous, "clopper-pearson", each),
                confidence=confidence,
            )
    return rates


def precision_at(
    prevalence: float, recall: Estimate, alarms: Estimate, *, confidence: float
) -> Estimate:
    """Precision where a share `prevalence` of the images is anomalous.

    >>> precision_at(0.5, Estimate(value=0.8), Estimate(value=0.2), confidence=0.95).value
    0.8
    """

    def precision(recall_rate: float | None, alarm_rate: float | None) -> float | None:
        if recall_rate is None or alarm_rate is None:
            return None
        hits, false = prevalence * recall_rate, (1 - prevalence) * alarm_rate
        return hits / (hits + false) if hits + false > 0 else None

    return Estimate(
        value=precision(recall.value, alarms.value),
        low=precision(recall.low, alarms.high),
        high=precision(recall.high, alarms.low),
        confidence=confidence,
        n=recall.n + alarms.n,
        caveat=recall.caveat or alarms.caveat,
    )
