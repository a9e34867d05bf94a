"""The gap or the overlap between the scores of normal and of anomalous images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Estimate, Finding, FindingKind, JudgedFacts, Severity

_FOUND, _FLAGGED = 0.25, 0.5  # of the anomalies at least, and of the normal images at most
_RESAMPLES, _MOST = 200, 2000


def find_overlap(
    normal: NDArray[Any],
    anomalous: NDArray[Any],
    *,
    recall: Estimate | None = None,
    false_alarm_rate: Estimate | None = None,
) -> Finding | None:
    """Measure the gap between the two kinds of scores, or how far they overlap; None where a kind
    is absent.

    ``gap`` is lowest anomalous minus highest normal score: positive where a threshold separates
    them all. Otherwise ``overlap`` is the least sum of miss rate and false-alarm rate that any
    threshold reaches (0 = separated, 1 = no better than chance): one minus the two-sample
    Kolmogorov-Smirnov distance towards higher scores.

    Most detectors overlap, so an overlap is a note. It is a warning where it spoils the operating
    point: more than three quarters of the anomalies are missed, or more than half of the normal
    images are flagged, by the whole interval of that rate.

    Parameters
    ----------
    normal, anomalous : float array, (n,)
        Higher = more anomalous.
    recall, false_alarm_rate : Estimate, optional
        At the operating point, on these images.

    Examples
    --------
    >>> find_overlap(np.array([0.1, 0.2]), np.array([0.5, 0.9])).measured["gap"]
    0.3
    >>> find_overlap(np.array([0.1, 0.6]), np.array([0.5, 0.9])).measured["overlap"]
    0.5
    """
    if len(normal) == 0 or len(anomalous) == 0:
        return None
    highest, lowest = float(normal.max()), float(anomalous.min())
    gap = lowest - highest
    overlap = 0.0 if gap > 0 else _least_error(np.sort(normal), np.sort(anomalous))
    low, high = (
        (0.0, min(1.0, 3 / len(normal) + 3 / len(anomalous)))
        if gap > 0
        else _interval(normal, anomalous, overlap)
    )
    measured = {
        "gap": gap,
        "overlap": overlap,
        "overlap_low": low,
        "overlap_high": high,
        "highest_normal": highest,
        "lowest_anomalous": lowest,
        "normal_in_overlap": float((normal >= lowest).mean()),
        "anomalous_in_overlap": float((anomalous <= highest).mean()),
    }
    spoilt = _spoilt(recall, false_alarm_rate)
    severity: Severity = "ok" if gap > 0 else "warning" if spoilt else "note"
    if gap > 0:
        return Finding(
            code=KIND.code,
            severity=severity,
            measured=measured,
            meaning=(
                f"There is a clear gap: the highest normal score is {highest:.4g}, and the lowest"
                f" anomalous one is {lowest:.4g}, which is {gap:.4g} above it."
            ),
            what_to_do="Put the threshold into the gap.",
        )
    return Finding(
        code=KIND.code,
        severity=severity,
        measured=measured,
        meaning=(
            f"Normal and anomalous scores overlap. {100 * measured['anomalous_in_overlap']:.3g}% of"
            " anomalies score no higher than the highest normal image, and"
            f" {100 * measured['normal_in_overlap']:.3g}% of normal images score no lower than the"
            " lowest anomaly. At every threshold, the share of anomalies that are missed and the"
            f" share of normal images that are flagged add up to {100 * overlap:.3g}% or more"
            f" ({100 * low:.3g} to {100 * high:.3g}); 100% is no better than chance.{spoilt}"
        ),
        what_to_do=(
            "No threshold separates them. Choose one by the costs of a miss and of a false"
            " alarm, and look at the images in the overlap. If that costs too much, it takes"
            " another model or another score."
        ),
    )


def _spoilt(recall: Estimate | None, false_alarm_rate: Estimate | None) -> str:
    """What the overlap does to the operating point, in words; empty where it does its job."""
    if recall is not None and recall.high is not None and recall.high < _FOUND:
        return (
            f" At the threshold {100 - 100 * (recall.value or 0):.3g}% of the anomalies are missed,"
            f" and surely more than three quarters: {100 - 100 * recall.high:.3g}% at least."
        )
    rate = false_alarm_rate
    if rate is not None and rate.low is not None and rate.low > _FLAGGED:
        return (
            f" At the threshold {100 * (rate.value or 0):.3g}% of the normal images are flagged,"
            f" and surely more than half: {100 * rate.low:.3g}% at least."
        )
    return ""


def _interval(normal: NDArray[Any], anomalous: NDArray[Any], overlap: float) -> tuple[float, float]:
    """95% interval of the least error, resampled by kind; 2,000 scores of many, then narrowed."""
    rng = np.random.default_rng(0)
    kinds = [rng.choice(one, min(len(one), _MOST), replace=False) for one in (normal, anomalous)]
    drawn = [
        _least_error(*(np.sort(rng.choice(one, len(one))) for one in kinds))
        for _ in range(_RESAMPLES)
    ]
    shrunk = max(
        np.sqrt(len(some) / len(one)) for some, one in zip(kinds, (normal, anomalous), strict=True)
    )
    half = 1.96 * float(np.std(drawn) * shrunk)
    return max(0.0, overlap - half), min(1.0, overlap + half)


def _least_error(normal: NDArray[Any], anomalous: NDArray[Any]) -> float:
    edges = np.unique(np.concatenate([normal, anomalous]))
    missed = np.searchsorted(anomalous, edges, side="right") / len(anomalous)
    alarms = 1 - np.searchsorted(normal, edges, side="right") / len(normal)
    return float(min(1.0, (missed + alarms).min()))


def _ask(facts: JudgedFacts) -> Finding | None:
    metrics = facts.metrics or {}
    return find_overlap(
        facts.scores[facts.normal_rows],
        facts.scores[facts.anomalous_rows],
        recall=metrics.get("recall"),
        false_alarm_rate=metrics.get("false_alarm_rate"),
    )


KIND = FindingKind(
    "overlap",
    "Gap or overlap between normal and anomalous scores",
    find_overlap,
    _ask,
    needs=("scores", "is_anomalous"),
    jobs=("detect",),
)
