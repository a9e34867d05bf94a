"""The policy of those who name none: the strictest promise that their normal images can show."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.metrics.groups import Groups
from residua.records import OperatingPoint
from residua.thresholds.calibration import Promised
from residua.thresholds.choose import choose_threshold
from residua.thresholds.false_alarms import strictest_bound

_FEWEST_GROUPS = 19  # with fewer, a promise for new groups would be one of a fifth and more


def choose_operating_point(
    scores: NDArray[Any],
    is_anomalous: NDArray[np.bool_],
    policy: str | None,
    *,
    confidence: float = 0.95,
    groups: Any = None,
    promise: Promised | None = None,
    contamination: float | None = None,
) -> OperatingPoint:
    """Apply `policy` (or the default) to calibration scores; see `choose_threshold`.

    A `promise` of None is one for new groups, unless neither policy nor promise is named and the
    normal images come in too few groups for that.
    """
    if policy is None:
        n = int((~is_anomalous).sum())
        if groups is not None and promise != "known-groups":
            n_groups = Groups.read(groups, len(scores)).of(~is_anomalous).n_groups
            if n_groups < min(n, _FEWEST_GROUPS) and promise is None:
                promise = "known-groups"
            else:
                n = n_groups
        policy = strictest_bound(n, confidence)
    return choose_threshold(
        policy,
        scores,
        is_anomalous,
        confidence=confidence,
        groups=groups,
        promise=promise or "new-groups",
        contamination=contamination,
    )


def choose_again(
    point: OperatingPoint,
    scores: Any,
    labels: Any = None,
    *,
    groups: Any = None,
    confidence: float | None = None,
    prevalence: float | None = None,
) -> OperatingPoint:
    """The policy and the promise of `point` on the scores that it was chosen on, or on others.

    A `confidence` of None is that of the point's rates; `prevalence` is the one that was stated.

    >>> scores = np.arange(1, 21) / 100
    >>> point = choose_threshold("quantile:0.9", scores)
    >>> choose_again(point, scores).threshold == point.threshold
    True
    """
    own = next((rate.confidence for rate in point.rates.values()), 0.95)
    return choose_threshold(
        point.policy,
        scores,
        labels,
        confidence=own if confidence is None else confidence,
        prevalence=prevalence,
        groups=groups,
        promise="known-groups" if point.promise == "known groups" else "new-groups",
        contamination=point.contamination,
    )
