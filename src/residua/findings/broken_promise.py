"""A rate on test images that contradicts what the threshold was chosen for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from residua.findings.kind import FindingKind
from residua.metrics.names import metric_inside
from residua.records import Estimate, Finding, OperatingPoint

_TOO_RARE = 0.005
"""Calibration and test that differ as much are not alike: rarer than this in honest runs."""
_NODES = 2000


@dataclass(frozen=True)
class _Broken:
    """A rate on the wrong side of what was promised."""

    metric: str
    promised: float
    found: Estimate
    chance: float
    """How rare so large a difference to the calibration images would be, were all images alike."""
    more: str = ""


def find_broken_promise(
    operating_point: OperatingPoint, metrics: Mapping[str, Estimate]
) -> Finding | None:
    """Compare a test rate's interval with the policy's promise.

    A promise with 95% confidence is broken by one calibration set in twenty, though nothing is
    wrong. It is an error only where the test images differ from the calibration images by more than
    that explains: in less than 1% of honest runs. Else it is a note. Images in groups count as
    their effective number. What was not promised is not broken: an estimate of precision, or new
    groups where the promise was for the known ones.

    Parameters
    ----------
    operating_point : OperatingPoint
        Chosen by a policy that promises a rate; others have no promise to break. Its own rates say
        how many calibration images there were.
    metrics : mapping of str to Estimate
        ``false_alarm_rate``, ``recall`` on the test images.

    Examples
    --------
    >>> point = OperatingPoint(threshold=0.5, policy="false-alarms<=0.01", how="...")
    >>> find_broken_promise(
    ...     point, {"false_alarm_rate": Estimate(value=0.1, low=0.06, high=0.15, n=200)}
    ... ).severity
    'error'
    """
    broken = _broken(operating_point, metrics)
    if broken is None:
        return None
    found, name = broken.found, metric_inside(broken.metric)
    is_error = broken.chance < _TOO_RARE
    return Finding(
        code=KIND.code,
        severity="error" if is_error else "note",
        measured={
            "metric": broken.metric,
            "promised": broken.promised,
            "value": found.value,
            "low": found.low,
            "high": found.high,
            "chance": broken.chance,
        },
        meaning=(
            f"The threshold was chosen for {operating_point.policy}. On these images {name} is"
            f" {found.value:.3g} ({found.low:.3g} to {found.high:.3g}){broken.more}. "
            + (
                "The calibration images were therefore different from these."
                if is_error
                else "Calibration images like these can mislead as much by chance: a promise with"
                " 95% confidence is broken in one of twenty cases."
            )
        ),
        what_to_do=(
            "Find out what changed between calibration and test. Then choose the threshold on"
            " images like those to come."
            if is_error
            else "Choose the threshold on more images."
        ),
    )


def _broken(point: OperatingPoint, metrics: Mapping[str, Estimate]) -> _Broken | None:
    from residua.thresholds import parse_policy
    from residua.thresholds.shown import with_hidden

    promise = parse_policy(point.policy).promise()
    if promise is None or point.promise in ("none", "known groups"):
        return None
    if promise.kind == "flagged":
        return _broken_precision(point, 1 - promise.rate, metrics)
    name = "false_alarm_rate" if promise.kind == "normal" else "recall"
    found, is_limit = metrics.get(name), promise.kind == "normal"
    if found is None or found.value is None or found.low is None or found.high is None:
        return None
    rate = with_hidden(promise.rate, point.contamination or 0.0) if is_limit else promise.rate
    if not (found.low > rate if is_limit else 1 - found.high > rate):
        return None
    found = _in_groups(point, found, name)
    chance = _chance(point.rates.get(name), found, is_limit, rate)
    return _Broken(name, rate if is_limit else round(1 - rate, 15), found, chance)


def _broken_precision(
    point: OperatingPoint, promised: float, metrics: Mapping[str, Estimate]
) -> _Broken | None:
    from residua.thresholds.rates import precision_at

    recall, alarms = metrics.get("recall"), metrics.get("false_alarm_rate")
    if None in (point.promise, point.prevalence) or recall is None or alarms is None:
        return None
    found = precision_at(point.prevalence or 0.0, recall, alarms, confidence=recall.confidence)
    if found.low is None or found.high is None or found.high >= promised:
        return None
    recall = _in_groups(point, recall, "recall")
    alarms = _in_groups(point, alarms, "false_alarm_rate")
    # Either of the two may be what differs.
    chance = 2 * min(
        _chance(point.rates.get("recall"), recall, False, 0.5),
        _chance(point.rates.get("false_alarm_rate"), alarms, True, 0.5),
    )
    where = f" where {100 * (point.prevalence or 0.0):.3g}% of the images are anomalous"
    return _Broken("precision", promised, found, min(chance, 1.0), where)


def _in_groups(point: OperatingPoint, found: Estimate, name: str) -> Estimate:
    """What was found; images whose groups nobody named are as alike as those of calibration."""
    before = point.rates.get(name)
    if found.n_groups is not None or before is None or before.n_effective is None:
        return found
    worth = found.n * before.n_effective / max(before.n, 1)
    return found.model_copy(update={"n_effective": worth, "n_groups": before.n_groups})


def _chance(before: Estimate | None, now: Estimate, is_limit: bool, rate: float) -> float:
    """How rare so many faults on new images would be, given those on the calibration images.

    The rate behind k faults among n calibration images is that of an order statistic,
    Beta(k + 1, n - k); the new faults are binomial at that rate. Without calibration rates there
    were just as many images as it takes to show `rate` without a fault.
    """
    from scipy.special import betainc, betaincinv

    from residua.thresholds.bounds import images_needed

    faults, n = (
        (0.0, float(images_needed(rate, 0.95)))
        if before is None or before.value is None
        else _counted(before, is_limit)
    )
    new_faults, new_n = _counted(now, is_limit)
    if new_faults <= 0:
        return 1.0
    at = (np.arange(_NODES) + 0.5) / _NODES
    rates = betaincinv(faults + 1, max(n - faults, 1e-9), at)
    return float(betainc(new_faults, new_n - new_faults + 1, rates).mean())


def _counted(estimate: Estimate, is_limit: bool) -> tuple[float, float]:
    """Faults, and images among which they are: independent ones that the images are worth.

    With few groups that number is known badly, and Student's quantile allows for it.
    """
    from residua.metrics._confidence import student_t, two_sided_z

    share = estimate.value or 0.0
    n = float(estimate.n if estimate.n_effective is None else estimate.n_effective)
    if estimate.n_groups is not None and estimate.n_groups > 1:
        sure = 1 - 2 * _TOO_RARE
        n *= (two_sided_z(sure) / student_t(sure, estimate.n_groups - 1)) ** 2
    return n * (share if is_limit else 1 - share), n


KIND = FindingKind(
    "broken-promise",
    "Test rates that contradict the threshold's promise",
    find_broken_promise,
    lambda facts: find_broken_promise(facts.operating_point, facts.metrics),
    needs=("operating_point", "metrics"),
    jobs=("detect",),
)
