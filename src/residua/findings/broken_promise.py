"""A rate on test images that contradicts what the threshold was chosen for."""

from __future__ import annotations

from collections.abc import Mapping

from residua.findings.kind import FindingKind
from residua.metrics.names import metric_inside
from residua.records import Estimate, Finding, OperatingPoint

# Policy class -> the metric it speaks of, and whether the promise is an upper limit.
_RATES = {
    "false-alarms": ("false_alarm_rate", True),
    "recall": ("recall", False),
    "precision": ("precision", False),
}


def find_broken_promise(
    operating_point: OperatingPoint, metrics: Mapping[str, Estimate]
) -> Finding | None:
    """Compare a test rate's interval with the policy's promise; a contradiction means that test is
    unlike calibration.

    Parameters
    ----------
    operating_point : OperatingPoint
        Chosen by a policy that promises a rate; others have no promise to break.
    metrics : mapping of str to Estimate
        ``false_alarm_rate``, ``recall``, ``precision`` on the test images.

    Examples
    --------
    >>> point = OperatingPoint(threshold=0.5, policy="false-alarms<=0.01", how="...")
    >>> find_broken_promise(
    ...     point, {"false_alarm_rate": Estimate(value=0.1, low=0.06, high=0.15, n=200)}
    ... ).severity
    'error'
    """
    keyword, _, rest = operating_point.policy.replace("<=", ">=").partition(">=")
    if keyword not in _RATES or not rest:
        return None
    name, is_limit = _RATES[keyword]
    estimate, promised = metrics.get(name), float(rest)
    if estimate is None or estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    broken = estimate.low > promised if is_limit else estimate.high < promised
    measured = {
        "metric": name,
        "promised": promised,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
    }
    if not broken:
        return None
    return Finding(
        code=KIND.code,
        severity="error",
        measured=measured,
        meaning=(
            f"The threshold was chosen for {operating_point.policy}. On these images"
            f" {metric_inside(name)} is {estimate.value:.3g} ({estimate.low:.3g} to"
            f" {estimate.high:.3g}). The calibration images were therefore different from"
            " these."
        ),
        what_to_do=(
            "Find out what changed between calibration and test. Then choose the threshold on"
            " images like those to come."
        ),
    )


KIND = FindingKind(
    "broken-promise",
    "Test rates that contradict the threshold's promise",
    find_broken_promise,
    lambda facts: find_broken_promise(facts.operating_point, facts.metrics),
    needs=("operating_point", "metrics"),
    jobs=("detect",),
)
