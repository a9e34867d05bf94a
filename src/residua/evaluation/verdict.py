"""What a record comes to, in one word: usable, not shown to be so, or useless for its job."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from residua._text import count, few, first_sentence
from residua.findings.unknown_code_size import PREFIX
from residua.metrics.names import PRIMARY, baseline_title, metric_inside, metric_words
from residua.records import Estimate, Evaluation, Finding, Verdict

_HALF, _QUARTER = 0.5, 0.25
_WELL = 0.8  # of the area under the ROC curve: scores that rank well
_BRACKETS = re.compile(r" \([^()]*\)")
_SLACK = 1e-9  # of a percentage that is a whole number but for rounding
_HARDLY = 0.2  # of the way from chance to perfect
# Errors that can make a good model look bad: while one stands, nothing is called useless.
_DISTORTING = frozenset(
    {
        "clipped-values",
        "hard-scores",
        "mispaired",
        "misread-scale",
        "mixed-scale",
        "permuted-classes",
        "reversed-labels",
        "reversed-scores",
        "scale",
        "shared-scores",
        "unlike-parts",
    }
)
# Errors that are no fault of the model at its job: a metric that was asked for and means nothing,
# and the decoder of a classifier.
_BESIDE = {"classify": frozenset({"meaningless-metric", "collapsed-reconstruction"})}
_QUESTION = frozenset({"meaningless-metric"})


def verdict_of(evaluation: Evaluation) -> Verdict:
    """The verdict on a record, by the rule on the page ``docs/verdict.md``.

    It follows from the record alone: its metrics with their intervals, how baselines stand to the
    model, its findings and its threshold.

    Parameters
    ----------
    evaluation : Evaluation
        Its own verdict is not looked at.

    Returns
    -------
    Verdict
        ``usable`` only where that is shown and no finding of severity error stands; ``useless``
        only where the opposite is shown; else ``not shown``.

    Examples
    --------
    >>> missed = Estimate(value=0.0, low=0.0, high=0.07, n=52)
    >>> alarms = Estimate(value=0.012, low=0.002, high=0.065, n=84)
    >>> metrics = {
    ...     "roc_auc": Estimate(value=0.7, low=0.6, high=0.8, n=136),
    ...     "recall": missed,
    ...     "false_alarm_rate": alarms,
    ... }
    >>> verdict_of(Evaluation(job="detect", n_images=136, split="test", metrics=metrics))
    Verdict(word='useless', because=('It flags anomalous images no more often than normal ones.',))
    """
    case = _CASES[evaluation.job](evaluation)
    beside = _BESIDE.get(evaluation.job, _QUESTION)
    errors = [
        one for one in evaluation.findings if one.severity == "error" and one.code not in beside
    ]
    distorted = [one for one in errors if one.code in _DISTORTING]
    if distorted:
        return Verdict(word="not shown", because=_sentences(distorted))
    if case.useless:
        return Verdict(word="useless", because=tuple(case.useless))
    if errors or case.lacking:
        return Verdict(word="not shown", because=(*case.lacking, *_sentences(errors)))
    return Verdict(word="usable", because=tuple(case.shown))


def with_verdict(evaluation: Evaluation) -> Evaluation:
    """The same record with the verdict that its metrics and findings give now.

    >>> with_verdict(Evaluation(job="detect", n_images=9, split="test")).verdict.word
    'not shown'
    """
    return evaluation.model_copy(update={"verdict": verdict_of(evaluation)})


@dataclass
class _Case:
    """Reasons why a model is useless, what it lacks to be usable, and what it is shown to do."""

    useless: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)


def _sentences(findings: list[Finding]) -> tuple[str, ...]:
    """The first sentence of each, without what stands in brackets."""
    texts = (_BRACKETS.sub("", first_sentence(one.meaning)[0]) for one in findings)
    return tuple(dict.fromkeys(texts))


def _detection(evaluation: Evaluation) -> _Case:
    case, metrics = _Case(), evaluation.metrics
    recall, alarms = (_known(metrics.get(name)) for name in ("recall", "false_alarm_rate"))
    area = _known(metrics.get("roc_auc"))
    if area is None and (recall is None or alarms is None):
        case.lacking.append(_without_labels(evaluation))
        return case
    if recall is not None and alarms is not None:
        low, high = _difference(recall, alarms)
        if low <= 0 and (high < _HARDLY or _is_chance(area)):
            case.useless.append("It flags anomalous images no more often than normal ones.")
        _add_rates(case, recall, alarms)
        if any(one.code == "threshold-optimism" for one in evaluation.findings):
            case.lacking.append(
                "The threshold was chosen on these images, so they do not show what it does."
            )
    elif area is not None:
        _add_ranking(case, area)
    _add_baselines(case, evaluation)
    return case


def _add_rates(case: _Case, recall: Estimate, alarms: Estimate) -> None:
    if recall.low is not None and recall.low > _HALF:
        case.shown.append(f"It catches at least {_least(recall.low)} of anomalies.")
    else:
        case.lacking.append(
            "It is not shown to catch more than half of the anomalous images:"
            f" {_counted(recall)} are caught."
        )
    if alarms.high is not None and alarms.high < _QUARTER:
        case.shown.append(f"It flags at most {_most(alarms.high)} of normal images.")
    else:
        case.lacking.append(
            "It is not shown to flag fewer than a quarter of the normal images:"
            f" {_counted(alarms)} are flagged."
        )


def _add_ranking(case: _Case, area: Estimate) -> None:
    """Scores without a threshold."""
    told = f"ROC AUC {area.value:.3f}{_interval(area)}"
    if area.high is not None and area.high < _HALF:
        case.useless.append(f"Its scores rank backwards: {told}.")
    elif _is_chance(area):
        case.useless.append(f"Its scores rank hardly better than chance: {told}.")
    elif area.low is not None and area.low > _WELL:
        case.shown.append(f"Its scores rank well: {told}.")
    else:
        case.lacking.append(f"Its scores are not shown to rank well: {told}.")
    missing = "A threshold is missing, so nothing is decided yet."
    case.shown.append(missing)
    case.lacking += [missing] if case.lacking else []


def _is_chance(area: Estimate | None) -> bool:
    """Whether a ranking is shown to be hardly better than chance."""
    most = _HALF + _HARDLY * (1 - _HALF)
    return area is not None and (area.low or 0.0) <= _HALF and (area.high or 1.0) < most


def _difference(recall: Estimate, alarms: Estimate) -> tuple[float, float]:
    """The interval of recall minus false-alarm rate, two independent rates (Newcombe, 1998, method
    10); everything where one has no interval.
    """
    ends = (recall.low, recall.high, alarms.low, alarms.high)
    if any(end is None for end in ends):
        return -1.0, 1.0
    caught_low, caught_high, false_low, false_high = (float(end or 0.0) for end in ends)
    caught, false = recall.value or 0.0, alarms.value or 0.0
    return (
        caught - false - math.hypot(caught - caught_low, false_high - false),
        caught - false + math.hypot(caught_high - caught, false - false_low),
    )


def _without_labels(evaluation: Evaluation) -> str:
    counts = next(
        (one.measured for one in evaluation.findings if "n_anomalous" in one.measured), {}
    )
    n_normal, n_anomalous = counts.get("n_normal", 0), counts.get("n_anomalous", 0)
    if n_normal and not n_anomalous:
        return "No anomalous image is labelled, so nothing is known about misses."
    if n_anomalous and not n_normal:
        return "No normal image is labelled, so nothing is known about false alarms."
    return "Without labels, nothing is known about misses and false alarms."


def _reconstruction(evaluation: Evaluation) -> _Case:
    case = _Case()
    collapsed = [
        one
        for one in evaluation.findings
        if one.code == "collapsed-reconstruction" and one.severity == "error"
    ]
    case.useless += _sentences(collapsed)
    if _primary(evaluation) is None:
        case.lacking.append("No error could be measured on these images.")
        return case
    standings = _add_baselines(case, evaluation)
    even = [name for name, standing in standings.items() if standing == "no difference shown"]
    if not standings:
        case.lacking.append("No baseline was compared, so nobody knows whether its error is small.")
    elif even:
        case.lacking.append(f"It is not shown to be better than {_listed(even)}.")
    elif "pca" not in standings:
        case.lacking.append("PCA of the same size was not compared.")
    return case


def _classification(evaluation: Evaluation) -> _Case:
    if "hamming_loss" in evaluation.metrics:
        return _several_labels(evaluation)
    case, name = _Case(), _primary(evaluation)
    if name is None:
        case.lacking.append("Without labels, nothing is known about its mistakes.")
        return case
    accuracy = evaluation.metrics[name]
    share, balanced = _majority(evaluation), _known(evaluation.metrics.get("balanced_accuracy"))
    if share is not None:
        n_classes = sum(one.startswith("recall[") for one in evaluation.metrics)
        told = f"accuracy {accuracy.value:.3f}{_interval(accuracy)} against {share:.3f}"
        if accuracy.low is not None and accuracy.low > share:
            case.shown.append(f"It beats the commonest class: {told}.")
        elif _at_most(accuracy, share) or (
            balanced is not None and n_classes > 1 and _at_most(balanced, _hardly(1 / n_classes))
        ):
            case.useless.append(f"It does not beat the commonest class: {told}.")
        else:
            case.lacking.append(f"It is not shown to beat the commonest class: {told}.")
    standings = _add_baselines(case, evaluation)
    if share is None and "worse" not in standings.values():
        case.lacking.append("It is not shown to be better than anything simple.")
    return case


def _several_labels(evaluation: Evaluation) -> _Case:
    """Labels of which several may hold: found and right in more than half, or nearly never."""
    case = _Case()
    silent = next(
        (
            one.measured.get("all_negative_accuracy")
            for one in evaluation.findings
            if one.code == "inflated-accuracy"
        ),
        None,
    )
    bars = {"recall": _HALF, "precision": max(_HALF, 1 - (_HALF if silent is None else silent))}
    told = {"recall": "labels are found", "precision": "named labels are right"}
    for name, bar in bars.items():
        rate = _known(evaluation.metrics.get(name))
        if rate is None:
            case.lacking.append("Nothing is named, or no label holds.")
        elif _at_most(rate, _HARDLY):
            case.useless.append(f"Hardly any {told[name]}: {rate.value:.1%}{_interval(rate)}.")
        elif rate.low is not None and rate.low > bar:
            case.shown.append(f"At least {_least(rate.low)} of {told[name]}.")
        else:
            case.lacking.append(
                f"It is not shown that more than {bar:.0%} of {told[name]}:"
                f" {rate.value:.3f}{_interval(rate)}."
            )
    return case


def _majority(evaluation: Evaluation) -> float | None:
    """The share of the commonest class among the judged images."""
    told = [one for one in evaluation.findings if one.code == "majority-class"]
    return float(told[0].measured["majority_share"]) if told else None


def _hardly(chance: float) -> float:
    return chance + _HARDLY * (1 - chance)


def _at_most(estimate: Estimate, most: float) -> bool:
    return estimate.high is not None and estimate.high <= most


def _add_baselines(case: _Case, evaluation: Evaluation) -> dict[str, str]:
    standings = compared(evaluation)
    better = [name for name, standing in standings.items() if standing == "better"]
    even = [name for name, standing in standings.items() if standing == "no difference shown"]
    if better:
        metric = _primary(evaluation) or ""
        named, is_one = few(map(baseline_title, better), 3), len(better) == 1
        rivals = f"The baseline {named} is" if is_one else f"Baselines ({named}) are"
        case.useless.append(f"{rivals} better by {metric_inside(metric)}.")
    if not standings:
        other = "other " if _majority(evaluation) is not None else ""
        case.shown.append(f"No {other}baseline was compared.")
    elif even:
        case.shown.append(f"It is not shown to be better than {_listed(even)}.")
    elif not better:
        case.shown.append(f"It is better than {count(len(standings), 'baseline')}.")
    return standings


def compared(evaluation: Evaluation) -> dict[str, str]:
    """How each baseline stands to the model in the job's main metric: ``better``, ``worse``, or
    ``no difference shown``.

    By the paired interval where the record has one. Else intervals that do not meet show a
    difference too. PCA of sizes that were only tried is left out.

    >>> metrics = {"mse": Estimate(value=0.01, low=0.009, high=0.011)}
    >>> other = {"pca": {"mse": Estimate(value=0.02, low=0.018, high=0.022)}}
    >>> compared(
    ...     Evaluation(
    ...         job="reconstruct", n_images=9, split="test", metrics=metrics, baselines=other
    ...     )
    ... )
    {'pca': 'worse'}
    """
    name = _primary(evaluation)
    if name is None:
        return {}
    told: dict[str, str] = {
        one: standing.baseline
        for one, standing in evaluation.standings.items()
        if standing.metric == name and not one.startswith(PREFIX)
    }
    for one, values in evaluation.baselines.items():
        other = _known(values.get(name))
        if one not in told and other is not None and not one.startswith(PREFIX):
            told[one] = _apart(name, evaluation.metrics[name], other)
    return told


def _apart(name: str, model: Estimate, other: Estimate) -> str:
    ends = (model.low, model.high, other.low, other.high)
    if any(end is None for end in ends):
        return "no difference shown"
    low, high, other_low, other_high = (float(end or 0.0) for end in ends)
    is_above = other_low > high
    if not is_above and other_high >= low:
        return "no difference shown"
    return "better" if is_above == metric_words(name).higher_is_better else "worse"


def _primary(evaluation: Evaluation) -> str | None:
    return next(
        (
            name
            for name in PRIMARY[evaluation.job]
            if _known(evaluation.metrics.get(name)) is not None
        ),
        None,
    )


def _known(estimate: Estimate | None) -> Estimate | None:
    return None if estimate is None or estimate.value is None else estimate


def _listed(names: list[str]) -> str:
    shown = [baseline_title(name) for name in names[:3]]
    shown += [f"{len(names) - 3} more"] if len(names) > 3 else []
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def _least(share: float) -> str:
    return f"{math.floor(100 * share + _SLACK)}%"


def _most(share: float) -> str:
    return f"{math.ceil(100 * share - _SLACK)}%"


def _counted(rate: Estimate) -> str:
    return f"{round((rate.value or 0.0) * rate.n):,} of {rate.n:,}{_interval(rate, '.0%')}"


def _interval(estimate: Estimate, form: str = ".3f") -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f" [{estimate.low:{form}}, {estimate.high:{form}}]"


_CASES = {
    "detect": _detection,
    "reconstruct": _reconstruction,
    "classify": _classification,
}
