"""How the report speaks: metric names, directions, number formats, and the sentence a reader sees
first.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from typing import Any

from pydantic import ValidationError

from residua._text import count, of_groups
from residua.metrics.names import baseline_title, difference_words, metric_inside, metric_words
from residua.metrics.reported import Kind
from residua.records import Estimate, Evaluation, Finding, Job, OperatingPoint, Severity, Standing

_OF_POSITIVE = ("precision", "recall", "f1")
_MOST_LABELS = 3
HEADLINE: dict[Job, tuple[str, ...]] = {
    "reconstruct": ("mse", "psnr", "ssim", "mae"),
    "detect": ("roc_auc", "average_precision", "recall", "false_alarm_rate", "precision", "f1"),
    "classify": (
        "accuracy",
        "balanced_accuracy",
        "f1",
        "log_loss",
        "linear_probe_accuracy",
        "neighbours_probe_accuracy",
    ),
}
JOB_TITLES: dict[Job, str] = {
    "reconstruct": "Reconstruction",
    "detect": "Anomaly detection",
    "classify": "Classification",
}
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note", "ok")


def label(name: str, evaluation: Evaluation) -> str:
    """What a metric is called in this evaluation: with two classes ``F1 of bad``, the positive one.

    >>> record = Evaluation(
    ...     job="classify", n_images=9, split="test", provenance={"positive_class": "bad"}
    ... )
    >>> label("f1", record), label("accuracy", record)
    ('F1 of bad', 'Accuracy')
    """
    positive = evaluation.provenance.get("positive_class")
    if evaluation.job == "classify" and name in _OF_POSITIVE and positive is not None:
        return metric_words(f"{name}[{positive}]").label
    return metric_words(name).label


def meaning(name: str, evaluation: Evaluation) -> str:
    """What a metric says, in the words of the job."""
    metric = metric_words(name)
    said = metric.meanings.get(evaluation.job, metric.meaning)
    if evaluation.job != "classify" or name not in _OF_POSITIVE:
        return said
    positive = evaluation.provenance.get("positive_class")
    if positive is not None:
        return said.replace("a class", str(positive))
    together = "pooled over labels" if "hamming_loss" in evaluation.metrics else "mean over classes"
    return f"{said}; {together}"


def number(value: float | None, kind: Kind = "plain") -> str:
    """A number for a reader: shares with three decimals, errors with three digits that count.

    >>> (
    ...     number(0.9123, "share"),
    ...     number(0.00051234, "error"),
    ...     number(27.345, "decibel"),
    ...     number(None),
    ... )
    ('0.912', '0.000512', '27.3 dB', 'not defined')
    """
    if value is None or not math.isfinite(value):
        return "not defined"
    if kind == "share":
        return f"{value:.3f}"
    if kind == "count":
        return f"{value:,.0f}"
    if kind == "decibel":
        return f"{value:.1f} dB"
    if 1e-4 <= abs(value) < 1000:
        return f"{value:#.3g}".rstrip(".")  # 1.00 beside 1.03, not 1
    return significant(value)


def significant(value: float, digits: int = 3) -> str:
    """`value` with `digits` significant digits, without an exponent where that stays readable.

    >>> significant(0.0000012345), significant(1234567.0), significant(0.5)
    ('1.23e-06', '1,234,567', '0.5')
    """
    if value == 0 or 1e-4 <= abs(value) < 10**digits:
        return f"{value:.{digits}g}"
    if 10**digits <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:.{digits - 1}e}"


def interval(name: str, estimate: Estimate) -> str:
    """``0.912 [0.897, 0.926]``, or the value alone where there is no interval."""
    kind = metric_words(name).kind
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return number(estimate.value, kind)
    low, high = (number(end, kind).removesuffix(" dB") for end in (estimate.low, estimate.high))
    return f"{number(estimate.value, kind)} [{low}, {high}]"


def primary_metric(evaluation: Evaluation) -> str | None:
    """The metric of the first sentence: the job's first headline that has a value."""
    for name in HEADLINE[evaluation.job]:
        if name in evaluation.metrics and evaluation.metrics[name].value is not None:
            return name
    return None


def headline_names(evaluation: Evaluation) -> list[str]:
    """The metrics shown large, in order; any with a value where no known headline has one."""
    known = [name for name in HEADLINE[evaluation.job] if name in evaluation.metrics]
    if known and primary_metric(evaluation) is not None:
        return known
    defined = [name for name, one in evaluation.metrics.items() if one.value is not None]
    return defined or known or list(evaluation.metrics)


def standing_words(standing: Standing | None) -> str:
    """What a baseline is beside the model: ``better``, ``worse``, ``no difference shown``.

    >>> standing_words(None)
    'not compared in pairs'
    """
    if standing is None:
        return "not compared in pairs"
    return f"{standing.baseline}{', turned around' if standing.is_backwards else ''}"


def tone(standing: Standing | None) -> str:
    """What a standing means for the model: ``good``, ``bad`` or neither."""
    word = None if standing is None else standing.baseline
    return "good" if word == "worse" else "bad" if word == "better" else ""


def difference_cell(standing: Standing | None, main: str) -> str:
    """The model minus a baseline, with its interval; and in what, where that is not `main`."""
    if standing is None:
        return ""
    said = difference_words(standing.metric, standing.difference)
    return said if standing.metric == main else f"{said} of {metric_inside(standing.metric)}"


def baselines_in(evaluation: Evaluation, name: str) -> dict[str, Estimate]:
    """What each baseline reaches in a metric, the strongest first; the area of those that separate
    backwards with their scores turned around.

    >>> area = Estimate(value=0.75)
    >>> paired = Standing(metric="roc_auc", difference=area, baseline="better", is_backwards=True)
    >>> record = Evaluation(
    ...     job="detect",
    ...     n_images=9,
    ...     split="test",
    ...     baselines={"brightness": {"roc_auc": Estimate(value=0.25, low=0.125, high=0.375)}},
    ...     standings={"brightness": paired},
    ... )
    >>> baselines_in(record, "roc_auc")["brightness"].low
    0.625
    """
    reached = {
        title: _turned(values[name]) if is_turned(evaluation, title, name) else values[name]
        for title, values in evaluation.baselines.items()
        if name in values
    }
    sign = -1 if metric_words(name).higher_is_better else 1
    order = {
        title: math.inf if one.value is None else sign * one.value for title, one in reached.items()
    }
    return dict(sorted(reached.items(), key=lambda item: order[item[0]]))


def is_turned(evaluation: Evaluation, baseline: str, name: str) -> bool:
    """Whether a baseline's metric is that of its scores turned around."""
    standing = evaluation.standings.get(baseline)
    return standing is not None and standing.is_backwards and standing.metric == name


def _turned(area: Estimate) -> Estimate:
    value, low, high = (
        None if end is None else 1 - end for end in (area.value, area.high, area.low)
    )
    return area.model_copy(update={"value": value, "low": low, "high": high})


def best_baseline(evaluation: Evaluation, name: str) -> tuple[str, Estimate] | None:
    """The strongest baseline that has the metric `name`."""
    rivals = baselines_in(evaluation, name).items()
    return next(((title, one) for title, one in rivals if one.value is not None), None)


def ranking(evaluation: Evaluation) -> str:
    """The main number of the job, and whether anything simple does better."""
    name = primary_metric(evaluation)
    if name is None:
        return "No metric of this job could be measured on these images; the findings say why."
    estimate = evaluation.metrics[name]
    opening = f"{label(name, evaluation)} {interval(name, estimate)} on {judged_images(evaluation)}"
    rival = best_baseline(evaluation, name)
    if rival is None:
        return f"{opening}."
    return f"{opening}. {_beside(evaluation, name, *rival)}"


def _beside(evaluation: Evaluation, name: str, strongest: str, other: Estimate) -> str:
    """How the strongest baseline stands to the model, and others that this does not cover."""
    standing = evaluation.standings.get(strongest)
    if standing is None or standing.metric != name:
        reached = f"{baseline_title(strongest)}, reaches {interval(name, other)}"
        return f"The strongest baseline, {reached}; it was not compared in pairs."
    around = ", turned around" if standing.is_backwards else ""
    title = f"{baseline_title(strongest)} ({number(other.value, metric_words(name).kind)}{around})"
    paired = f"model minus baseline {difference_words(name, standing.difference)}"
    if standing.baseline == "better":
        return f"The strongest baseline, {title}, is better: {paired}."
    if standing.baseline == "no difference shown":
        return f"No difference to the strongest baseline, {title}, is shown: {paired}."
    compared = [
        (baseline_title(one), evaluation.standings[one].baseline)
        for one in baselines_in(evaluation, name)
        if one in evaluation.standings
    ]
    rest = [one for one, word in compared if word != "worse"]
    if rest:
        told = f"it is not shown to beat {', '.join(rest)}"
        return f"It beats the strongest baseline, {title}: {paired}; {told}."
    if len(compared) == 1:
        return f"It beats the baseline, {title}: {paired}."
    return f"It beats all {len(compared)} baselines; the strongest is {title}: {paired}."


def images(n: int, split: str = "") -> str:
    """``1 image``, ``10,000 test images``, ``5 images (new parts)``."""
    is_part = split in ("train", "validation", "calibration", "test")
    noun = f"{split} image" if is_part else "image"
    return count(n, noun) if is_part or not split else f"{count(n, noun)} ({split})"


def judged_images(evaluation: Evaluation) -> str:
    """``84 test images of 31 groups``: what was judged, and what it was sampled in.

    >>> metrics = {"roc_auc": Estimate(value=0.9, n=84, n_groups=31)}
    >>> judged_images(Evaluation(job="detect", n_images=84, split="test", metrics=metrics))
    '84 test images of 31 groups'
    """
    known = [one.n_groups for one in evaluation.metrics.values() if one.n_groups is not None]
    return f"{images(evaluation.n_images, evaluation.split)}{of_groups(max(known, default=None))}"


def worth(estimate: Estimate) -> str:
    """What the images behind a number of groups are worth; empty without groups.

    >>> worth(Estimate(value=0.9, n=84, n_groups=31, n_effective=41.2)), worth(Estimate(value=0.9))
    ('of 31 groups, worth 41 independent images', '')
    """
    if estimate.n_groups is None:
        return ""
    if estimate.n_effective is None:
        return of_groups(estimate.n_groups).strip()
    return (
        f"{of_groups(estimate.n_groups).strip()}, worth"
        f" {count(round(estimate.n_effective), 'independent image')}"
    )


def worth_words(evaluation: Evaluation) -> str | None:
    """What *worth* means, where images came in groups; None where they did not.

    >>> worth_words(Evaluation(job="detect", n_images=84, split="test")) is None
    True
    """
    if all(one.n_groups is None for one in evaluation.metrics.values()):
        return None
    return (
        "Worth: images of one group resemble each other, so they show no more than that many"
        " independent images."
    )


def caveats(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Why intervals may not hold or are not there, each reason once with its metrics.

    >>> few = Estimate(value=0.9, caveat="From 7 groups only.")
    >>> record = Evaluation(
    ...     job="detect", n_images=9, split="test", metrics={"roc_auc": few, "recall": few}
    ... )
    >>> caveats(record)
    [('ROC AUC, Recall', 'From 7 groups only.')]
    """
    found: dict[str, list[str]] = {}
    for name, estimate in evaluation.metrics.items():
        if estimate.caveat is not None:
            found.setdefault(estimate.caveat, []).append(label(name, evaluation))
    return [
        (
            ", ".join(labels)
            if len(labels) <= _MOST_LABELS
            else f"{labels[0]} and {len(labels) - 1} more",
            caveat,
        )
        for caveat, labels in found.items()
    ]


def operating_sentence(point: OperatingPoint) -> str:
    """What the threshold is and how it came about."""
    how = point.how.strip()
    return (
        f"An image is flagged when its score exceeds {significant(point.threshold, 4)} (policy"
        f" {point.policy}). {how}".strip()
    )


def outcome_sentence(counts: dict[str, Any]) -> str:
    """What a threshold does with the judged images, in counts.

    >>> outcome_sentence({"tp": 55, "fn": 5, "fp": 1, "tn": 99})
    'Of 60 anomalous images, 55 are caught and 5 missed. Of 100 normal images, 1 is a false alarm.'
    """
    n_abnormal, n_normal = counts["tp"] + counts["fn"], counts["fp"] + counts["tn"]
    alarms = counts["fp"]
    said = []
    if n_abnormal:
        said.append(
            f"Of {n_abnormal:,} anomalous images, {counts['tp']:,} are caught and {counts['fn']:,}"
            " missed."
        )
    if n_normal:
        said.append(
            f"Of {n_normal:,} normal images, {alarms:,}"
            f" {'is a false alarm' if alarms == 1 else 'are false alarms'}."
        )
    return " ".join(said)


def severity_counts(findings: tuple[Finding, ...]) -> str:
    """``1 error, 2 warnings``; empty where nothing stands."""
    return ", ".join(counted_severities(findings).values())


def counted_severities(findings: tuple[Finding, ...]) -> dict[Severity, str]:
    """How many findings there are of each severity but ``ok``, in words."""
    counts = Counter(one.severity for one in findings)
    return {name: count(counts[name], name) for name in SEVERITIES[:3] if counts[name]}


def fine_words(findings: tuple[Finding, ...]) -> str:
    """``3 checks found nothing wrong``; empty where none did."""
    n = sum(one.severity == "ok" for one in findings)
    return f"{count(n, 'check')} found nothing wrong" if n else ""


def by_severity(findings: tuple[Finding, ...]) -> list[Finding]:
    """Findings, the most serious first, otherwise in their own order."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def value_words(value: object) -> str:
    """Anything a finding measured or the provenance holds, on one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, float):
        return significant(value, 4) if math.isfinite(value) else "not defined"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        if set(value) >= {"value", "low", "high"}:
            with contextlib.suppress(ValidationError):  # else it only looks like one
                return interval("", Estimate.model_validate(value))
        return ", ".join(f"{key}: {value_words(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        between = "; " if any(isinstance(one, dict) for one in value) else ", "
        shown = between.join(value_words(one) for one in value[:12])
        return f"{shown} and {len(value) - 12} more" if len(value) > 12 else shown
    return str(value)
