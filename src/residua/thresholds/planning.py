"""How many images have to be labelled to show a promise, before anybody labels one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from residua._check import Problems
from residua.errors import PolicyError, RangeError
from residua.thresholds.bounds import images_needed
from residua.thresholds.calibration import percent
from residua.thresholds.choose import check_confidence
from residua.thresholds.policy import Policy, plain
from residua.thresholds.quantile import Quantile
from residua.thresholds.registry import parse_policy


@dataclass(frozen=True)
class PlanRow:
    """With `n_faults` of them going wrong, `n_images` of the plan's kind show the promise."""

    n_faults: int
    n_images: int


@dataclass(frozen=True)
class Plan:
    """What it takes to show a promise.

    ``kind`` is which images (normal, anomalous, flagged), ``fault`` what may go wrong.
    """

    policy: str
    confidence: float
    kind: str
    fault: str
    rows: tuple[PlanRow, ...]
    meaning: str


@dataclass(frozen=True)
class DifferencePlan:
    """Images needed to show that two models differ in a rate.

    Images judged by both models (McNemar's test): ``n_paired_least`` if the better model errs only
    where the other does, ``n_paired`` if their errors are independent. ``n_unpaired`` images *for
    each* model where they see different ones.
    """

    first: float
    second: float
    confidence: float
    power: float
    n_paired_least: int
    n_paired: int
    n_unpaired: int
    meaning: str


def plan(
    policy: str | Policy, *, confidence: float = 0.95, misses: Sequence[int] = (0, 1, 2)
) -> Plan:
    """How many labelled images it takes to show what a policy promises.

    With none, one or two going wrong.

    Exact binomial bound, one-sided: the smallest n for which that many faults would be rarer than
    ``1 - confidence`` if the promise did not hold. Labels cost money: this is known before the
    first one.

    Parameters
    ----------
    policy : str or Policy
        ``false-alarms<=a`` (counts normal images), ``recall>=r`` (anomalous ones), ``precision>=p``
        (flagged ones), ``quantile:q`` (normal ones, on average).
    confidence : float
    misses : sequence of int
        Numbers of faults (missed anomalies, false alarms) to plan for.

    Raises
    ------
    PolicyError
        For a policy that promises no rate (``max-f1``, ``cost``, a fixed number).

    Examples
    --------
    >>> [(row.n_faults, row.n_images) for row in plan("recall>=0.99").rows]
    [(0, 299), (1, 473), (2, 628)]
    """
    rule = parse_policy(policy)
    problems = Problems("plan")
    check_confidence(problems, confidence)
    if any(n < 0 for n in misses):
        problems.add(
            "misses must be numbers from 0 up",
            f"{tuple(misses)}",
            "Write for instance 0, 1, 2",
            RangeError,
        )
    problems.raise_any()
    if isinstance(rule, Quantile):
        return _quantile_plan(rule, confidence)
    promise = rule.promise()
    if promise is None:
        raise PolicyError(
            f"plan: the policy must promise a rate. Got {rule}, which promises none. "
            "Plan for recall>=0.99, false-alarms<=0.01, precision>=0.9 or quantile:0.99."
        )
    rows = tuple(PlanRow(n, images_needed(promise.rate, confidence, n)) for n in misses)
    shown = "; ".join(
        f"{row.n_images} {promise.kind} images with {_counted(row.n_faults, promise.fault)} among"
        " them"
        for row in rows
    )
    meaning = (
        f"To show {rule} with {percent(confidence)} confidence (one-sided): {shown}. "
        "The images must be drawn like those the detector will see."
    )
    return Plan(str(rule), confidence, promise.kind, promise.fault, rows, meaning)


def _quantile_plan(rule: Quantile, confidence: float) -> Plan:
    needed = math.ceil(rule.q / (1 - rule.q) - 1e-9)
    meaning = (
        f"{rule} needs {needed} normal images. It holds on average over calibration sets, not with"
        f" {percent(confidence)} confidence; for that plan"
        f" false-alarms<={plain(round(1 - rule.q, 12))}."
    )
    return Plan(str(rule), confidence, "normal", "false alarms", (PlanRow(0, needed),), meaning)


def plan_difference(
    first: float, second: float, *, confidence: float = 0.95, power: float = 0.8
) -> DifferencePlan:
    """How many images show that a model with rate `second` differs from one with rate `first`.

    Two-sided test at ``1 - confidence``, found with probability `power` if the rates are as given.
    Unpaired: the normal approximation for two proportions (Fleiss, *Statistical Methods for Rates
    and Proportions*). Paired: McNemar's test by Connor, *Biometrics* 43 (1987) 207; the share of
    images on which the models disagree lies between |difference| and that of independent errors.

    Examples
    --------
    >>> told = plan_difference(0.90, 0.95)
    >>> told.n_paired_least, told.n_paired, told.n_unpaired
    (155, 438, 435)
    """
    problems = Problems("plan_difference")
    check_confidence(problems, confidence)
    for name, rate in {"first": first, "second": second, "power": power}.items():
        if not 0 < rate < 1:
            problems.add(
                f"{name} must lie between 0 and 1, both excluded",
                f"{rate}",
                "Write a share, for instance 0.95",
                RangeError,
            )
    if first == second:
        problems.add(
            "the two rates must differ",
            f"{first} twice",
            "Name the smallest difference that matters to you",
            RangeError,
        )
    problems.raise_any()
    least, independent = abs(first - second), first + second - 2 * first * second
    n_least, n_paired = (_paired(share, least, confidence, power) for share in (least, independent))
    n_unpaired = _unpaired(first, second, confidence, power)
    meaning = (
        f"To show with {percent(confidence)} confidence (two-sided) that two models with rates"
        f" {plain(first)} and {plain(second)} differ, and to find it {percent(power)} of the time:"
        f" {n_unpaired} images for each model if they see different images; if both judge the same"
        f" images, {n_least} where their errors coincide as far as possible, up to {n_paired} where"
        " they are independent."
    )
    return DifferencePlan(first, second, confidence, power, n_least, n_paired, n_unpaired, meaning)


def _z(probability: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(probability))


def _paired(discordant: float, difference: float, confidence: float, power: float) -> int:
    spread = _z(1 - (1 - confidence) / 2) * math.sqrt(discordant) + _z(power) * math.sqrt(
        max(discordant - difference**2, 0.0)
    )
    return math.ceil((spread / difference) ** 2)


def _unpaired(first: float, second: float, confidence: float, power: float) -> int:
    mean = (first + second) / 2
    spread = _z(1 - (1 - confidence) / 2) * math.sqrt(2 * mean * (1 - mean))
    spread += _z(power) * math.sqrt(first * (1 - first) + second * (1 - second))
    return math.ceil((spread / (first - second)) ** 2)


def _counted(n: int, faults: str) -> str:
    """The number with its noun: no misses, 1 miss, 2 misses."""
    singular = {"misses": "miss"}.get(faults, faults.removesuffix("s"))
    return f"no {faults}" if n == 0 else f"1 {singular}" if n == 1 else f"{n} {faults}"
