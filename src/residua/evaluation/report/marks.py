"""Where each threshold policy would put the threshold, from calibration scores alone: marks on the
page's slider.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from residua.errors import InputError
from residua.evaluation.evidence import Evidence
from residua.records import Evaluation
from residua.thresholds import choose_threshold, parse_policy

_OF_NORMALS = ("false-alarms<=0.01", "false-alarms<=0.05", "quantile:0.95", "quantile:0.99")
_OF_ANOMALIES = ("recall>=0.95", "precision>=0.9", "cost:20:1", "max-f1")


@dataclass(frozen=True)
class Mark:
    """A policy and its threshold; or None, and why these calibration images cannot support it."""

    policy: str
    threshold: float | None
    why: str = ""


def marks(evaluation: Evaluation, evidence: Evidence) -> list[Mark]:
    """The usual policies on the calibration scores that the page carries, the chosen one left out;
    empty without any.
    """
    scores = evidence.calibration_scores
    if evaluation.job != "detect" or scores is None or len(scores) == 0:
        return []
    labels = evidence.calibration_is_anomalous
    has_anomalies = labels is not None and bool(np.asarray(labels, np.bool_).any())
    chosen = (
        None
        if evaluation.operating_point is None
        else str(parse_policy(evaluation.operating_point.policy))
    )
    policies = [
        policy
        for policy in (*_OF_NORMALS, *(_OF_ANOMALIES if has_anomalies else ()))
        if policy != chosen
    ]
    made = [_mark(policy, evidence, labels if has_anomalies else None) for policy in policies]
    if not has_anomalies:
        made.append(
            Mark(
                ", ".join(_OF_ANOMALIES),
                None,
                "They need labelled anomalies among the calibration images.",
            )
        )
    return made


def _mark(policy: str, evidence: Evidence, labels: NDArray[np.bool_] | None) -> Mark:
    try:
        point = choose_threshold(
            policy,
            evidence.calibration_scores,
            labels,
            prevalence=evidence.prevalence,
            groups=evidence.calibration_groups,
        )
    except InputError as error:
        return Mark(policy, None, str(error).partition(": ")[2].partition(" Got ")[0])
    return Mark(policy, point.threshold)
