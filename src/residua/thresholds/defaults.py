"""The policy of those who name none: as strict as their calibration normals allow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.records import OperatingPoint
from residua.thresholds.choose import choose_threshold

_BOUND = "false-alarms<=0.05"
_QUANTILE = "quantile:0.95"
_NORMALS_FOR_BOUND = 59  # the smallest n with 0.95**n <= 0.05
_NORMALS_FOR_QUANTILE = 19  # the smallest n with 0.95 * (n + 1) <= n


def default_policy(n_normals: int) -> str:
    """At most 5% false alarms as a bound, where the normals suffice.

    Else a quantile, else the strictest they allow.

    Examples
    --------
    >>> [default_policy(n) for n in (59, 19, 12)]
    ['false-alarms<=0.05', 'quantile:0.95', 'quantile:0.92']
    """
    if n_normals >= _NORMALS_FOR_BOUND:
        return _BOUND
    if n_normals >= _NORMALS_FOR_QUANTILE or n_normals == 0:
        return _QUANTILE
    return f"quantile:{100 * n_normals // (n_normals + 1) / 100:g}"


def choose_operating_point(
    scores: NDArray[Any],
    is_anomalous: NDArray[np.bool_],
    policy: str | None,
    *,
    confidence: float = 0.95,
) -> OperatingPoint:
    """Apply `policy` (or the default) to calibration scores."""
    policy = policy or default_policy(int((~is_anomalous).sum()))
    return choose_threshold(policy, scores, is_anomalous, confidence=confidence)
