"""An evaluation from a sketch: rates at the threshold from exact counts, ranking metrics within the
sketch's bounds.
"""

from __future__ import annotations

import math
from typing import Any

from residua.cluster.tally import Tally
from residua.findings import (
    find_broken_promise,
    find_not_better_than_chance,
    find_undefined_metric,
    find_unlabelled,
)
from residua.metrics.intervals import rate_interval
from residua.metrics.sketch import Bounds, ScoreSketch
from residua.records import Estimate, Evaluation, OperatingPoint

_CONFIDENCE = 0.95
_Z = 1.959963984540054


def evaluate_sketched(
    tally: Tally, point: OperatingPoint | None, split: str, provenance: dict[str, Any]
) -> Evaluation:
    """What `evaluate_detection` says, as far as a summary of bounded size can say it.

    The value of a ranking metric is the middle of its bounds. Its interval is conservative: it lies
    around both bounds, and takes for ROC AUC the largest variance that there can be, AUC (1 - AUC)
    / min(n normal, n anomalous) (Birnbaum and Klose, 1957), for average precision that of a rate
    over the anomalous images (Boyd, Eng and Page, 2013).
    """
    sketch = tally.sketch or ScoreSketch()
    correct, alarms, misses, hits = map(int, tally.confusion)
    n_normal, n_anomalous = correct + alarms, misses + hits
    bounds = {
        "roc_auc": sketch.roc_auc_bounds(),
        "average_precision": sketch.average_precision_bounds(),
    }
    fewest = {"roc_auc": min(n_normal, n_anomalous), "average_precision": n_anomalous}
    metrics = {name: _within(bounds[name], fewest[name], n_normal + n_anomalous) for name in bounds}
    if point is not None:
        metrics |= {
            "precision": _rate(hits, hits + alarms),
            "recall": _rate(hits, n_anomalous),
            "accuracy": _rate(correct + hits, n_normal + n_anomalous),
            "false_alarm_rate": _rate(alarms, n_normal),
            "flagged_rate": _rate(tally.n_flagged, tally.n_images),
        }
    findings = [
        find_unlabelled(tally.n_images - n_normal - n_anomalous, tally.n_images),
        find_not_better_than_chance(
            metrics["roc_auc"], prevalence=n_anomalous / max(1, n_normal + n_anomalous)
        ),
        find_undefined_metric(
            [name for name, one in metrics.items() if one.value is None],
            f"There are {n_normal:,} normal and {n_anomalous:,} anomalous labelled images.",
            "Add labelled images of the other kind.",
            n_normal=n_normal,
            n_anomalous=n_anomalous,
        ),
    ]
    if point is not None:
        findings.append(find_broken_promise(point, metrics))
    told = {
        name: None if math.isnan(one.low) else {"low": one.low, "high": one.high}
        for name, one in bounds.items()
    }
    return Evaluation(
        job="detect",
        n_images=tally.n_images,
        split=split,
        metrics=metrics,
        operating_point=point,
        findings=tuple(finding for finding in findings if finding is not None),
        provenance={**provenance, "guaranteed_bounds": told, "sketch_is_exact": sketch.is_exact},
    )


def _within(bounds: Bounds, n_fewest: int, n: int) -> Estimate:
    if math.isnan(bounds.low):
        return Estimate(value=None, confidence=_CONFIDENCE, n=n)
    low, high = (
        end + sign * _Z * math.sqrt(end * (1 - end) / n_fewest)
        for end, sign in ((bounds.low, -1.0), (bounds.high, 1.0))
    )
    return Estimate(
        value=(bounds.low + bounds.high) / 2,
        low=max(0.0, low),
        high=min(1.0, high),
        confidence=_CONFIDENCE,
        n=n,
    )


def _rate(n_successes: int, n: int) -> Estimate:
    return (
        Estimate(value=None, confidence=_CONFIDENCE)
        if n == 0
        else rate_interval(n_successes, n, confidence=_CONFIDENCE)
    )
