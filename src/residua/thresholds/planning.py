"""How many images have to be labelled to show a promise, before anybody labels one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from residua._check import Problems
from residua.errors import PolicyError, RangeError
from residua.metrics.groups import FEWEST_GROUPS
from residua.thresholds.bounds import images_needed
from residua.thresholds.calibration import percent
from residua.thresholds.choose import check_confidence
from residua.thresholds.policy import Policy, plain
from residua.thresholds.quantile import Quantile
from residua.thresholds.registry import parse_policy
from residua.thresholds.shown import MOST_WORTH


@dataclass(frozen=True)
class PlanRow:
    """With `n_faults` of them going wrong, `n_images` of the plan's kind show the promise.

    Where images come in groups, it takes `n_groups` of them, and `n_faults` counts groups that go
    wrong altogether. `share` is the share of the group in the variance of scores; None stands for
    any.
    """

    n_faults: int
    n_images: int
    n_groups: int | None = None
    share: float | None = None


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
    each* model where they see different ones. With groups, each number is `design_effect` times as
    large.
    """

    first: float
    second: float
    confidence: float
    power: float
    n_paired_least: int
    n_paired: int
    n_unpaired: int
    meaning: str
    design_effect: float = 1.0


def plan(
    policy: str | Policy,
    *,
    confidence: float = 0.95,
    misses: Sequence[int] = (0, 1, 2),
    group_size: int | None = None,
    share_of_group: float | None = None,
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
    group_size : int, optional
        Images of a group (views of a part), where the promise is to hold for new groups.
    share_of_group : float, optional
        How alike the images of a group are: the share of the variance of scores that the group
        explains, from 0 to 1. None: rows for several.

    Raises
    ------
    PolicyError
        For a policy that promises no rate (``max-f1``, ``cost``, a fixed number).

    Examples
    --------
    >>> [(row.n_faults, row.n_images) for row in plan("recall>=0.99").rows]
    [(0, 299), (1, 473), (2, 628)]
    >>> parts = plan("false-alarms<=0.05", group_size=6, share_of_group=0.6)
    >>> [(row.share, row.n_groups) for row in parts.rows]
    [(0.6, 40), (None, 59), (None, 93), (None, 124)]
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
    check_groups(problems, group_size, share_of_group)
    problems.raise_any()
    if isinstance(rule, Quantile):
        return _quantile_plan(rule, confidence, group_size)
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
    told = Plan(str(rule), confidence, promise.kind, promise.fault, rows, meaning)
    if group_size is None:
        return told
    return _grouped_plan(told, promise.rate, group_size, share_of_group)


def check_groups(problems: Problems, group_size: int | None, share_of_group: float | None) -> None:
    """Note problems with the size of groups and with how alike their images are."""
    if group_size is not None:
        problems.within("group_size", group_size, "[1, inf)", "Pass the images of a group")
    if share_of_group is not None and group_size is None:
        problems.add(
            "share_of_group needs a group_size",
            "none",
            "Pass the images of a group too",
            RangeError,
        )
    if share_of_group is not None:
        problems.within("share_of_group", share_of_group, "[0, 1]", "Pass 0.6")


def check_rates(problems: Problems, power: float, **rates: float) -> None:
    """Note problems with the power of a test and with the two rates that it tells apart."""
    for name, rate in {**rates, "power": power}.items():
        problems.within(name, rate, "(0, 1)", "Write a share, for instance 0.95")
    one, other = rates.values()
    if one == other:
        mend = "Name the smallest difference that matters to you"
        problems.add("the two rates must differ", f"{one} twice", mend, RangeError)


def _grouped_plan(alone: Plan, rate: float, size: int, share: float | None) -> Plan:
    """Groups in place of images; fewer of them where the images of a group are little alike."""
    single = images_needed(rate, alone.confidence)
    shares = _SHARES if share is None else (share,)
    alike = [
        PlanRow(0, n_groups * size, n_groups, one)
        for one in shares
        if (n_groups := _groups_needed(single, size, one)) < single
    ]
    whole = [PlanRow(row.n_faults, row.n_images * size, row.n_images) for row in alone.rows]
    most = {row.n_groups: row.share or 0.0 for row in alike}
    listed = "; ".join(
        f"{n_groups} if the group is at most {percent(share)} of the variance of scores"
        for n_groups, share in most.items()
    )
    meaning = (
        f"To show {alone.policy} with {percent(alone.confidence)} confidence (one-sided) for images"
        f" of new groups of {size}: {single} groups with no {alone.fault} among their {alone.kind}"
        f" images, whatever the images of a group have in common{'; ' if listed else ''}{listed}."
        f" For new images of the same groups, {single} images are enough. The groups must be drawn"
        " like those the detector will see."
    )
    return replace(alone, rows=(*alike, *whole), meaning=meaning)


def _groups_needed(n_images: int, size: int, share: float) -> int:
    """Groups that are worth `n_images` independent images; see `most_faults`."""
    worth = min(size / _effect(size, share), MOST_WORTH)
    return max(math.ceil(n_images / worth - 1e-9), FEWEST_GROUPS)


_SHARES = (0.0, 0.3, 0.6, 0.9)


def _effect(size: int, share: float) -> float:
    """The design effect of groups of that size."""
    return 1 + (size - 1) * share


def _quantile_plan(rule: Quantile, confidence: float, group_size: int | None) -> Plan:
    needed = math.ceil(rule.q / (1 - rule.q) - 1e-9)
    row = PlanRow(0, needed)
    if group_size is not None:
        row = PlanRow(0, needed * group_size, needed)
    meaning = (
        f"{rule} needs {needed} normal {'images' if group_size is None else 'groups of images'}. It"
        f" holds on average over calibration sets, not with {percent(confidence)} confidence; for"
        f" that plan false-alarms<={plain(round(1 - rule.q, 12))}."
    )
    return Plan(str(rule), confidence, "normal", "false alarms", (row,), meaning)


def plan_difference(
    first: float,
    second: float,
    *,
    confidence: float = 0.95,
    power: float = 0.8,
    group_size: int | None = None,
    share_of_group: float | None = None,
) -> DifferencePlan:
    """How many images show that a model with rate `second` differs from one with rate `first`.

    Two-sided test at ``1 - confidence``, found with probability `power` if the rates are as given.
    Unpaired: the normal approximation for two proportions (Fleiss, *Statistical Methods for Rates
    and Proportions*). Paired: McNemar's test by Connor, *Biometrics* 43 (1987) 207; the share of
    images on which the models disagree lies between |difference| and that of independent errors.
    Images in groups of `group_size` are worth fewer: by the design effect of `share_of_group`, the
    share of the variance that the group explains (None: all of it).

    Examples
    --------
    >>> told = plan_difference(0.90, 0.95)
    >>> told.n_paired_least, told.n_paired, told.n_unpaired
    (155, 438, 435)
    >>> plan_difference(0.90, 0.95, group_size=6, share_of_group=0.2).n_unpaired
    870
    """
    problems = Problems("plan_difference")
    check_confidence(problems, confidence)
    check_groups(problems, group_size, share_of_group)
    check_rates(problems, power, first=first, second=second)
    problems.raise_any()
    least, independent = abs(first - second), first + second - 2 * first * second
    effect = _effect(group_size or 1, 1.0 if share_of_group is None else share_of_group)
    n_least, n_paired, n_unpaired = (
        math.ceil(n * effect)
        for n in (
            _paired(least, least, confidence, power),
            _paired(independent, least, confidence, power),
            _unpaired(first, second, confidence, power),
        )
    )
    meaning = (
        f"To show with {percent(confidence)} confidence (two-sided) that two models with rates"
        f" {plain(first)} and {plain(second)} differ, and to find it {percent(power)} of the time:"
        f" {n_unpaired} images for each model if they see different images; if both judge the same"
        f" images, {n_least} where their errors coincide as far as possible, up to {n_paired} where"
        " they are independent."
    )
    if group_size is not None:
        meaning += (
            f" These are images in groups of {group_size}, each worth {1 / effect:.2g} independent"
            f" ones: at least {math.ceil(n_unpaired / group_size)} groups for each model, or"
            f" {math.ceil(n_paired / group_size)} for both."
        )
    return DifferencePlan(
        first, second, confidence, power, n_least, n_paired, n_unpaired, meaning, effect
    )


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
