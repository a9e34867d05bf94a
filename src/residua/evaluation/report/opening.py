"""What a reader sees first: the verdict, what the threshold does, the main number, and what to do
next.
"""

from __future__ import annotations

import math

from residua.evaluation.report import words
from residua.records import Evaluation, Finding

_MOST_CAUGHT = 0.9


def decision(evaluation: Evaluation) -> str:
    """What the threshold does with the judged images in counts, and what it costs to catch more.

    Without any label, how many are flagged. Empty where there is no threshold, or where labels of
    one kind are missing.

    >>> from residua.records import Estimate
    >>> metrics = {
    ...     "recall": Estimate(value=0.0, n=52),
    ...     "false_alarm_rate": Estimate(value=1 / 84, n=84),
    ...     "false_alarm_rate_at_90_recall": Estimate(value=0.5, low=0.35, high=0.7, n=84),
    ... }
    >>> print(decision(Evaluation(job="detect", n_images=136, split="test", metrics=metrics)))
    At its threshold, the model misses 52 of 52 anomalous images and flags 1 of 84 normal ones. To \
    catch 90%, it would flag about 42 of 84 normal ones [29, 59].
    """
    recall, alarms = (evaluation.metrics.get(name) for name in ("recall", "false_alarm_rate"))
    if evaluation.job != "detect" or recall is None or alarms is None:
        return ""
    if recall.value is None or alarms.value is None:
        flagged = evaluation.metrics.get("flagged_rate")
        if recall.n or alarms.n or flagged is None or flagged.value is None:
            return ""
        n_flagged = round(flagged.value * flagged.n)
        return f"At its threshold, the model flags {n_flagged:,} of {flagged.n:,} images."
    missed = round((1 - recall.value) * recall.n)
    said = (
        f"At its threshold, the model misses {missed:,} of {recall.n:,} anomalous images and flags"
        f" {round(alarms.value * alarms.n):,} of {alarms.n:,} normal ones."
    )
    cost = evaluation.metrics.get("false_alarm_rate_at_90_recall")
    if cost is None or cost.value is None or recall.value >= _MOST_CAUGHT:
        return said
    bounds = ""
    if cost.low is not None and cost.high is not None:
        bounds = f" [{math.floor(cost.low * cost.n):,}, {math.ceil(cost.high * cost.n):,}]"
    return (
        f"{said} To catch 90%, it would flag about {round(cost.value * cost.n):,} of {cost.n:,}"
        f" normal ones{bounds}."
    )


def opening(evaluation: Evaluation) -> str:
    """First sentences: what the threshold does, the main number, what simple thing is better."""
    return " ".join(first_sentences(evaluation))


def first_sentences(evaluation: Evaluation) -> list[str]:
    """The decision, and the ranking where there is any; without labels the decision alone.

    >>> first_sentences(Evaluation(job="detect", n_images=0, split="test"))
    ['No metric of this job could be measured on these images; the findings say why.']
    """
    decided = decision(evaluation)
    if decided and words.primary_metric(evaluation) in (None, "flagged_rate"):
        return [decided]
    return [one for one in (decided, words.ranking(evaluation)) if one]


WORDS: dict[str, tuple[str, str]] = {
    "usable": ("USABLE", ""),
    "not shown": ("NOT SHOWN", " to be usable"),
    "useless": ("USELESS", ""),
}
"""How a verdict's word is printed: what is loud, and what follows it."""


def next_step(evaluation: Evaluation) -> tuple[str, Finding] | None:
    """What to do first, by the most serious finding; notes count only if it is not usable.

    >>> told = Finding(
    ...     code="drift", severity="error", meaning="New images differ.", what_to_do="Look at them."
    ... )
    >>> record = Evaluation(job="detect", n_images=9, split="test", findings=(told,))
    >>> next_step(record)[0]
    'Look at them.'
    """
    is_usable = evaluation.verdict is not None and evaluation.verdict.word == "usable"
    asked = ("error", "warning") if is_usable else ("error", "warning", "note")
    for one in words.by_severity(evaluation.findings):
        if one.severity in asked and one.what_to_do not in ("", "Nothing."):
            return one.what_to_do, one
    return None


def separation(evaluation: Evaluation) -> str:
    """The gap between normal and anomalous scores, where a threshold separates all; or empty."""
    return next(
        (
            one.meaning
            for one in evaluation.findings
            if one.code == "overlap" and one.severity == "ok"
        ),
        "",
    )
