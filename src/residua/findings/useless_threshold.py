"""A threshold that is not shown to flag anomalies more often than normal images."""

from __future__ import annotations

import math

from residua.findings.kind import Estimate, Finding, FindingKind, JudgedFacts
from residua.metrics.names import metric_words

_WELL = 0.8  # of the area under the ROC curve, surely: then another threshold is worth a try


def find_useless_threshold(
    recall: Estimate,
    false_alarm_rate: Estimate,
    *,
    roc_auc: Estimate | None = None,
    to_catch: Estimate | None = None,
    of_run: bool = True,
) -> Finding | None:
    """Compare the share of anomalies that is flagged with that of normal images.

    None where either is undefined, or where the difference is surely above 0. Its lower bound is
    that of two independent rates (Newcombe, 1998, method 10).

    Parameters
    ----------
    recall, false_alarm_rate : Estimate
        At the operating point, on the judged images.
    roc_auc : Estimate, optional
        Whether another threshold could do better.
    to_catch : Estimate, optional
        The false-alarm rate that it costs to catch 90% of the anomalies.
    of_run : bool
        Whether the model is a run with baselines, so that the advice may name its commands.

    Examples
    --------
    >>> missed = Estimate(value=0.0, low=0.0, high=0.07, n=52)
    >>> alarms = Estimate(value=0.012, low=0.002, high=0.065, n=84)
    >>> find_useless_threshold(missed, alarms).severity
    'error'
    >>> find_useless_threshold(Estimate(value=0.9, low=0.8, high=0.95, n=52), alarms) is None
    True
    """
    caught, false = recall.value, false_alarm_rate.value
    if caught is None or false is None or recall.low is None or false_alarm_rate.high is None:
        return None
    difference = caught - false
    low = difference - math.hypot(caught - recall.low, false_alarm_rate.high - false)
    if low > 0:
        return None
    n_caught, n_false = round(caught * recall.n), round(false * false_alarm_rate.n)
    rather = f", {caught:.1%}, and" if n_caught else " and"
    return Finding(
        code=KIND.code,
        severity="error",
        measured={
            "recall": caught,
            "false_alarm_rate": false,
            "difference": difference,
            "difference_low": low,
        },
        meaning=(
            "It is not shown that this threshold flags anomalous images more often than normal"
            f" ones: {n_caught:,} of {recall.n:,} anomalous images{rather}"
            f" {n_false:,} of {false_alarm_rate.n:,} normal ones, {false:.1%}."
        ),
        what_to_do=_advice(roc_auc, to_catch, of_run=of_run),
    )


def _advice(roc_auc: Estimate | None, to_catch: Estimate | None, *, of_run: bool) -> str:
    other = "train another recipe, or take a baseline if one is better" if of_run else "train again"
    if roc_auc is None or roc_auc.low is None or roc_auc.low <= 0.5:
        return (
            "Do not use it. The scores do not rank well enough for another threshold to help much:"
            f" {other}."
        )
    if roc_auc.low < _WELL:
        return (
            "Do not use it. The scores rank better than chance, and it is not shown that they rank"
            " well. Choose the threshold on more normal images, judge it on more images, or"
            f" {other}."
        )
    cost = ""
    if to_catch is not None and to_catch.value is not None:
        cost = f" To catch 90% of them takes about {to_catch.value:.1%} false alarms" + (
            f" ({to_catch.low:.1%} to {to_catch.high:.1%})."
            if to_catch.low is not None and to_catch.high is not None
            else "."
        )
    policy = "--policy 'false-alarms<=0.1'"
    by = f"`residua threshold RUN {policy}`" if of_run else f"by `{policy}`"
    return (
        f"Do not use it. The scores rank well ({metric_words('roc_auc').label}"
        f" {roc_auc.value:.3f}), so choose another one: {by}, or recall>=0.9 with labelled"
        f" anomalies in calibration.{cost}"
    )


def _ask(facts: JudgedFacts) -> Finding | None:
    metrics = facts.metrics
    if "recall" not in metrics or "false_alarm_rate" not in metrics:
        return None
    return find_useless_threshold(
        metrics["recall"],
        metrics["false_alarm_rate"],
        roc_auc=metrics.get("roc_auc"),
        to_catch=metrics.get("false_alarm_rate_at_90_recall"),
        of_run=facts.baselines is not None,
    )


KIND = FindingKind(
    "useless-threshold",
    "A threshold that flags anomalies no more often than normal images",
    find_useless_threshold,
    _ask,
    needs=("metrics", "operating_point"),
    jobs=("detect",),
)
