"""A metric that the data cannot define."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from residua.findings.kind import Finding, FindingKind, JudgedFacts, Severity
from residua.metrics.names import metric_inside


def find_undefined_metric(
    metrics: Sequence[str],
    reason: str,
    what_to_do: str,
    *,
    severity: Severity = "warning",
    **measured: Any,
) -> Finding | None:
    """Say why these metrics have no value; None where there are none.

    Parameters
    ----------
    metrics : sequence of str
        Names of the metrics whose value is None.
    reason : str
        A full sentence: what the data lacks.
    what_to_do : str
        A full sentence.

    Examples
    --------
    >>> find_undefined_metric(
    ...     ["roc_auc"], "All 5 labelled images are normal.", "Label anomalies.", n_anomalous=0
    ... ).meaning
    'All 5 labelled images are normal. So there is no value for ROC AUC, which is not the same as
    0.'
    """
    if not metrics:
        return None
    return Finding(
        code=KIND.code,
        severity=severity,
        measured={"metrics": list(metrics), **measured},
        meaning=(
            f"{reason} So there is no value for {_listed([metric_inside(one) for one in metrics])},"
            " which is not the same as 0."
        ),
        what_to_do=what_to_do,
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _ask(facts: JudgedFacts) -> Finding | None:
    names = [name for name, one in facts.metrics.items() if one.value is None]
    if not names:
        return None
    reasons = {"detect": _of_detection, "reconstruct": _of_reconstruction}
    reason_of = _of_classes if facts.multilabel is None else _of_labels
    reason, advice, measured = reasons.get(facts.job, reason_of)(names, facts)
    nothing_is_asked = facts.job == "detect" and sum(facts.counts.values()) == 0
    return find_undefined_metric(
        names, reason, advice, severity="note" if nothing_is_asked else "warning", **measured
    )


_Reason = tuple[str, str, dict[str, Any]]


def _of_detection(names: Sequence[str], facts: JudgedFacts) -> _Reason:
    counts = {f"n_{kind}": n for kind, n in facts.counts.items()}
    n_normal, n_anomalous = facts.counts["normal"], facts.counts["anomalous"]
    if n_normal + n_anomalous == 0:
        return "No image is labelled.", "Pass labels: 0 normal, 1 anomalous.", counts
    if n_anomalous and n_normal:
        return "Nothing is flagged at this threshold.", "Lower the threshold.", counts
    kind, other = ("anomalous", "normal") if n_anomalous else ("normal", "anomalous")
    return (
        f"All {n_normal + n_anomalous} labelled images are {kind}.",
        f"Add labelled {other} images to the test set.",
        counts,
    )


def _of_reconstruction(names: Sequence[str], facts: JudgedFacts) -> _Reason:
    if facts.n_images == 0:
        return "There are no images.", "Pass some.", {"n_images": 0}
    n_infinite = {name: int((~np.isfinite(facts.errors[name])).sum()) for name in names}
    counted = ", ".join(f"{n} of {facts.n_images} for {name}" for name, n in n_infinite.items())
    advice = (
        "The psnr of an image that is reconstructed exactly is infinite. Read mse, or leave"
        " those images out and say so."
    )
    return f"Some images have no finite value ({counted}).", advice, {"n_infinite": n_infinite}


def _of_labels(names: Sequence[str], facts: JudgedFacts) -> _Reason:
    return (
        (
            "A label that never holds, or is never predicted, has no recall, precision or average"
            " precision."
        ),
        "Evaluate on images in which every label occurs.",
        {},
    )


def _of_classes(names: Sequence[str], facts: JudgedFacts) -> _Reason:
    n = int(facts.confusion.sum())
    if n == 0:
        return "No image is labelled.", "Pass labels.", {"n_images": 0}
    without = [name for name in facts.classes if f"recall[{name}]" in names]
    unused = [
        name for name in facts.classes if f"precision[{name}]" in names and name not in without
    ]
    parts = [f"no image is of class {', '.join(without[:5])}"] * bool(without) + [
        f"nothing is predicted as {', '.join(unused[:5])}"
    ] * bool(unused)
    reason = " and ".join(parts) or "the labels hold one class only"
    advice = (
        "Judge on images of every class. If a class is never predicted, the model is at fault,"
        " not the metric."
    )
    return f"{reason[0].upper()}{reason[1:]}.", advice, {"n_images": n}


KIND = FindingKind(
    "undefined-metric",
    "A metric that the data cannot define",
    find_undefined_metric,
    _ask,
    needs=("metrics",),
)
