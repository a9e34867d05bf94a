"""Acceptance criteria: what a model must reach on its test images, written down before the test."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from residua._files import in_a_line
from residua.errors import InputError
from residua.evaluation.report import words
from residua.metrics.intervals import rate_interval
from residua.metrics.names import metric_words
from residua.metrics.reported import METRICS
from residua.records import Estimate, Record

State = Literal["met", "not met", "not shown"]
_RATES = frozenset({"recall", "false_alarm_rate", "accuracy", "flagged_rate"})
_MOST_IMAGES = 10_000_000


class Criterion(Record):
    """What one metric must reach.

    ``bound`` is the figure that counts: ``low`` or ``high``, the end of the interval that lies on
    the bad side, or ``value``, the estimate alone.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    bound: Literal["low", "high", "value"]

    @property
    def limit(self) -> float:
        """The number that must be reached or not exceeded."""
        return float(self.at_least if self.at_least is not None else self.at_most or 0.0)

    @property
    def words(self) -> str:
        """The criterion as people read it.

        >>> Criterion(metric="recall", at_least=0.9, bound="low").words
        'Recall at least 0.9, by the low end of its interval'
        """
        side = "at least" if self.at_least is not None else "at most"
        how = (
            "by its value" if self.bound == "value" else f"by the {self.bound} end of its interval"
        )
        return f"{metric_words(self.metric).label} {side} {self.limit:g}, {how}"

    def judge(self, estimate: Estimate | None) -> State:
        """Whether an estimate meets it: ``not shown`` where its interval holds the limit, or where
        there is no estimate.

        Examples
        --------
        >>> rule = Criterion(metric="recall", at_least=0.9, bound="low")
        >>> rule.judge(Estimate(value=0.95, low=0.91, high=0.98))
        'met'
        >>> rule.judge(Estimate(value=0.95, low=0.85, high=0.99))
        'not shown'
        """
        if estimate is None or estimate.value is None:
            return "not shown"
        low, high = (
            (estimate.value,) * 2 if self.bound == "value" else (estimate.low, estimate.high)
        )
        good, bad = (low, high) if self.at_least is not None else (high, low)
        sign = 1.0 if self.at_least is not None else -1.0
        if good is not None and sign * (good - self.limit) >= 0:
            return "met"
        return "not met" if bad is not None and sign * (bad - self.limit) < 0 else "not shown"

    def images_needed(self, confidence: float = 0.95) -> int | None:
        """How many images it takes at least to meet it, with no error among them; None where the
        metric is no rate of images, or no number is enough.

        >>> Criterion(metric="recall", at_least=0.9, bound="low").images_needed()
        35
        """
        if self.metric.partition("[")[0] not in _RATES or self.bound == "value":
            return None
        is_least = self.at_least is not None

        def shows(n: int) -> bool:
            return (
                self.judge(rate_interval(n if is_least else 0, n, confidence=confidence)) == "met"
            )

        low, high = 0, 1
        while not shows(high):
            low, high = high, 2 * high
            if high > _MOST_IMAGES:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if shows(middle) else (middle, high)
        return high


class Sample(Record):
    """The smallest test set: normal and anomalous images, images of each kind, and groups."""

    images: int = Field(default=0, ge=0)
    normal: int = Field(default=0, ge=0)
    anomalous: int = Field(default=0, ge=0)
    each_kind: int = Field(default=0, ge=0)
    groups: int = Field(default=0, ge=0)


class Use(Record):
    """What the model is for, as whoever wrote the criteria tells it."""

    purpose: str
    images: str | None = None
    not_for: str | None = None
    responsible: str | None = None


class Criteria(Record):
    """A file of criteria: ``[criteria]``, and where there are any ``[sample]``, ``[kinds]`` (the
    smallest number of test images of each kind that must be there) and ``[use]``.
    """

    criteria: tuple[Criterion, ...]
    sample: Sample = Sample()
    kinds: dict[str, int] = Field(default_factory=dict)
    use: Use | None = None

    @field_validator("kinds")
    @classmethod
    def _whole(cls, kinds: dict[str, int]) -> dict[str, int]:
        if any(n < 0 for n in kinds.values()):
            raise ValueError("numbers of images must be 0 or more")
        return kinds


def read_criteria(text: str, where: str = "criteria") -> Criteria:
    r"""The criteria in a TOML text; `where` names the file in errors.

    Raises
    ------
    InputError
        If it is no TOML, a metric is not known, a limit is none, or there is no criterion.

    Examples
    --------
    >>> read_criteria("[criteria]\nrecall = {at_least = 0.9}").criteria[0].words
    'Recall at least 0.9, by the low end of its interval'
    """
    try:
        given = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(
            f"{where}: the criteria must be TOML. Got: {str(error)[:200]}. Write lines such as"
            " recall = {at_least = 0.9} below [criteria]."
        ) from None
    rules = given.pop("criteria", None)
    if not isinstance(rules, dict) or not rules:
        raise InputError(
            f"{where}: there must be a table [criteria] with a line or more. Got none. Write lines"
            " such as recall = {at_least = 0.9} below [criteria]."
        )
    made = [_criterion(str(name), rule, where) for name, rule in rules.items()]
    try:
        return Criteria.model_validate({"criteria": made, **given})
    except ValidationError as error:
        raise InputError(
            f"{where}: beside [criteria] there may be [sample] (images, normal, anomalous,"
            " each_kind, groups), [kinds] (a number a kind) and [use] (purpose, images, not_for,"
            f" responsible). Got {in_a_line(error)}. Correct it."
        ) from None


def _criterion(name: str, rule: Any, where: str) -> Criterion:
    known = {metric.name: metric for metric in METRICS}
    general, bracket, rest = name.partition("[")
    if general not in known or (bracket and not rest.endswith("]")):
        raise InputError(
            f"{where}: a criterion must be of a metric that an evaluation holds. Got {name!r}."
            f" Known are {', '.join(sorted(known))}; of one kind or class, such as"
            ' "recall[crack]".'
        )
    is_higher = known[general].higher_is_better
    side, bad = ("at_least", "low") if is_higher else ("at_most", "high")
    fix = f"Write {name} = {{{side} = NUMBER}}."
    if not isinstance(rule, Mapping) or not rule or set(rule) - {"at_least", "at_most", "bound"}:
        got = f"{rule!r}"[:100]
        raise InputError(
            f"{where}: the criterion of {name} must hold {side} and perhaps bound. Got {got}. {fix}"
        )
    limit: Any = rule.get(side)
    if side not in rule or len({"at_least", "at_most"} & set(rule)) > 1:
        better = "higher" if is_higher else "lower"
        raise InputError(
            f"{where}: the criterion of {name} must hold {side} alone, because {better} is better."
            f" Got {', '.join(rule)}. {fix}"
        )
    is_share = known[general].kind == "share"
    is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
    if not is_number or not math.isfinite(limit) or (is_share and not 0 <= limit <= 1):
        what = "a number from 0 to 1" if is_share else "a finite number"
        raise InputError(f"{where}: {side} of {name} must be {what}. Got {limit!r}. {fix}")
    bound = rule.get("bound", bad)
    if bound not in (bad, "value"):
        raise InputError(
            f"{where}: bound of {name} must be {bad!r}, the end of the interval on the bad side, or"
            f" 'value'. Got {bound!r}. Leave it out for {bad!r}."
        )
    return Criterion.model_validate({"metric": name, side: limit, "bound": bound})


def figure_words(name: str, estimate: Estimate | None) -> str:
    """A figure with its interval and the number of images behind it."""
    if estimate is None:
        return "not in the evaluation"
    return f"{words.interval(name, estimate)} of {estimate.n:,}"
