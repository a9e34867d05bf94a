"""A metric that the data cannot define."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from residua.metrics.names import metric_inside
from residua.records import Finding, Severity

CODE = "undefined-metric"


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
    meaning = (
        f"{reason} So there is no value for {_listed([metric_inside(one) for one in metrics])},"
        " which is not the same as 0."
    )
    return Finding(
        code=CODE,
        severity=severity,
        measured={"metrics": list(metrics), **measured},
        meaning=meaning,
        what_to_do=what_to_do,
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
