"""What every interval needs.

A checked confidence, the quantiles, and the way to and from the logit scale.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from residua._check import Problems
from residua.records import Estimate


def check_confidence(confidence: float, problems: Problems) -> None:
    """Note a problem unless `confidence` lies strictly between 0 and 1."""
    problems.within("confidence", confidence, "(0, 1)", "Pass 0.95 for 95%")


def require_confidence(where: str, confidence: float) -> None:
    """Raise `RangeError` unless `confidence` lies between 0 and 1."""
    problems = Problems(where)
    check_confidence(confidence, problems)
    problems.raise_any()


def two_sided_z(confidence: float) -> float:
    """How many standard errors a two-sided interval reaches to either side: 1.96 at 95%."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def student_t(confidence: float, degrees_of_freedom: float) -> float:
    """How far a two-sided interval reaches when the error is estimated from few values.

    In standard errors.
    """
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, (1 + confidence) / 2))


def logit_interval(value: float, variance: float, reach: float) -> tuple[float, float]:
    """``value +- reach`` standard errors on the logit scale, back in (0, 1).

    `value` itself must lie strictly inside.
    """
    centre = math.log(value / (1 - value))
    half = reach * math.sqrt(variance) / (value * (1 - value))
    return _logistic(centre - half), _logistic(centre + half)


def unpaired_bounds(one: Estimate, other: Estimate) -> tuple[float | None, float | None]:
    """Bounds of ``one - other`` from the intervals of both alone, as of different images.

    The squares of both are added, after Newcombe. For the same images, where a paired variance of 0
    shows nothing. None where either has none.
    """
    ends = (one.value, one.low, one.high, other.value, other.low, other.high)
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return None, None
    a, a_low, a_high, b, b_low, b_high = known
    low, high = math.hypot(a - a_low, b_high - b), math.hypot(a_high - a, b - b_low)
    return a - b - low, a - b + high


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
