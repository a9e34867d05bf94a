"""What a detector costs in parts: rates times the parts of a day."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from residua.errors import InputError, RangeError
from residua.records import Estimate, Evaluation
from residua.thresholds.quantile import Quantile
from residua.thresholds.registry import parse_policy

PER_DAY = "per_day"
"""Where the provenance of a record holds it."""
_DEFECTS = 10
_COUNTS = {
    "thrown_away": "false_alarm_rate",
    "missed": "recall",
    "missed_of_ten": "recall",
    "flagged": "flagged_rate",
}


@dataclass(frozen=True)
class Day:
    """How many parts a day brings, and which share of them is defective, where somebody says so.

    >>> Day(10_000, 0.01).good, Day(10_000).good
    (9900.0, 10000.0)
    """

    parts: int
    prevalence: float | None = None

    def __post_init__(self) -> None:
        if self.parts < 1:
            raise RangeError(
                f"per_day: there must be at least one part a day. Got {self.parts}. Write for"
                " instance 10000."
            )
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise RangeError(
                f"prevalence: the share of defective parts must lie between 0 and 1. Got"
                f" {self.prevalence}. Write for instance 0.01."
            )

    @property
    def good(self) -> float:
        """Parts a day without a defect; all of them where no share is stated."""
        return self.parts * (1 - (self.prevalence or 0.0))

    def counts(self, rates: Mapping[str, Estimate]) -> dict[str, Any]:
        """Parts a day as the record holds them: `parts`, `prevalence`, and for each count that the
        rates define its value and the ends of its interval.

        ``thrown_away`` are good parts that are flagged. ``missed`` are defective parts that are
        not, at the stated share of them; without one, ``missed_of_ten`` of ten defective parts.
        Where nothing is labelled, ``flagged`` are parts of either kind.

        >>> alarms = Estimate(value=0.02, low=0.01, high=0.04, n=300)
        >>> Day(1000).counts({"false_alarm_rate": alarms})["thrown_away"]
        {'value': 20.0, 'low': 10.0, 'high': 40.0}
        """
        missed = "missed_of_ten" if self.prevalence is None else "missed"
        of = {
            "thrown_away": self.good,
            missed: _DEFECTS if self.prevalence is None else self.parts * self.prevalence,
        }
        if not any(_is_known(rates, _COUNTS[name]) for name in of):
            of = {"flagged": float(self.parts)}
        told: dict[str, Any] = {"parts": self.parts, "prevalence": self.prevalence}
        for name, parts in of.items():
            rate = rates.get(_COUNTS[name])
            if rate is None or rate.value is None:
                continue
            ends: list[float | None] = [rate.value, rate.low, rate.high]
            if name.startswith("missed"):
                ends = [
                    None if one is None else 1 - one for one in (rate.value, rate.high, rate.low)
                ]
            scaled = (None if one is None else round(parts * one, 6) for one in ends)
            told[name] = dict(zip(("value", "low", "high"), scaled, strict=True))
        return told


def _is_known(rates: Mapping[str, Estimate], name: str) -> bool:
    return name in rates and rates[name].value is not None


def check_job(job: str, where: str) -> None:
    """Refuse parts a day of a model that throws none away, by InputError."""
    if job != "detect":
        raise InputError(
            f"{where}: parts a day need a detector, which flags images. Got the job {job}. Leave"
            " --per-day out."
        )


def with_day(evaluation: Evaluation, day: Day | None, where: str = "evaluate") -> Evaluation:
    """The record with what its threshold costs a day; as it is where `day` is None.

    Raises InputError if it is no record of a detector with a threshold.

    >>> metrics = {"false_alarm_rate": Estimate(value=0.02, n=100)}
    >>> record = Evaluation(job="detect", n_images=100, split="test", metrics=metrics)
    >>> with_day(record, Day(500)).provenance["per_day"]["thrown_away"]["value"]
    10.0
    """
    if day is None:
        return evaluation
    check_job(evaluation.job, where)
    counts = day.counts(evaluation.metrics)
    if len(counts) == 2:
        raise InputError(
            f"{where}: parts a day need a threshold, which decides what is flagged. Got none."
            " Choose one with --threshold or --policy."
        )
    return evaluation.model_copy(update={"provenance": {**evaluation.provenance, PER_DAY: counts}})


def sentence(told: dict[str, Any] | None) -> str:
    """What the threshold costs in parts a day, from `Day.counts`; empty where nobody asked.

    >>> count = {"value": 118.2, "low": 3.1, "high": 640.0}
    >>> sentence({"parts": 10000, "prevalence": None, "thrown_away": count})
    'Of 10,000 good parts a day, it throws away about 118 [3.1, 640].'
    """
    if told is None:
        return ""
    n, share = told["parts"], told["prevalence"]
    if "flagged" in told:
        return f"Of {n:,} parts a day, it flags about {_parts(told['flagged'])}."
    if share is None:
        good = f"Of {n:,} good parts a day, it throws away about "
        bad, of_good, of_bad = "Of 10 defective parts, it misses about ", "", ""
    else:
        opening = f"Of {n:,} parts a day, {100 * share:.4g}% of them defective, it"
        good, of_good = f"{opening} throws away about ", f" of {_whole(n * (1 - share))} good ones"
        bad = "It misses about " if "thrown_away" in told else f"{opening} misses about "
        of_bad = f" of {_whole(n * share)} defective ones"
    missed = told.get("missed", told.get("missed_of_ten"))
    said = [f"{good}{_parts(told['thrown_away'], of_good)}."] if "thrown_away" in told else []
    return " ".join(said + ([] if missed is None else [f"{bad}{_parts(missed, of_bad)}."]))


def _parts(count: dict[str, float | None], of: str = "") -> str:
    """A number of parts with its interval."""
    value, low, high = count["value"], count["low"], count["high"]
    assert value is not None
    if low is None or high is None:
        return f"{_whole(value)}{of}"
    return f"{_whole(value)}{of} [{_whole(low, math.floor)}, {_whole(high, math.ceil)}]"


def _whole(parts: float, rounded: Callable[[float], int] = round) -> str:
    """A number of parts; below ten with one decimal, as a part every other day counts too."""
    return f"{rounded(parts):,}" if parts >= 10 else f"{rounded(10 * parts) / 10:g}"


def promised_a_day(policy: str, parts: int) -> str:
    """What a policy promises, in parts; that it promises none, where that is so.

    >>> promised_a_day("false-alarms<=0.05", 10_000)
    'The promise: of 10,000 good parts a day, at most 500 are thrown away.'
    >>> promised_a_day("recall>=0.99", 10_000)
    'The promise: of 1,000 defective parts, at most 10 are missed.'
    """
    rule = parse_policy(policy)
    if isinstance(rule, Quantile):
        return (
            f"On average, at most {_whole(parts * (1 - rule.q))} of {parts:,} good parts a day are"
            " thrown away. Single batches may have more."
        )
    promise = rule.promise()
    if promise is None:
        return f"{rule} promises no number of parts."
    of = {
        "normal": (parts, "good parts a day", "thrown away"),
        "anomalous": (1000, "defective parts", "missed"),
        "flagged": (1000, "flagged parts", "good"),
    }
    n, which, fault = of[promise.kind]
    return f"The promise: of {n:,} {which}, at most {_whole(n * promise.rate)} are {fault}."


def counted_again(told: Any, rates: Mapping[str, Estimate]) -> dict[str, Any] | None:
    """The same counts from other rates; None where `told` is no such record."""
    try:
        return Day(told["parts"], told["prevalence"]).counts(rates)
    except (KeyError, TypeError, RangeError):
        return None
