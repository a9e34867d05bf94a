"""Two runs on the same images, side by side: paired differences, both distributions, and where they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.evidence import Evidence
from residua.exhibits import Exhibit, Group, Histogram, Picture
from residua.metrics.delong import roc_auc_difference
from residua.metrics.means import paired_difference_interval
from residua.records import Estimate, Evaluation
from residua.report import words
from residua.report.exhibits import exhibit, histogram
from residua.report.kinds import UNKNOWN, truth
from residua.report.markup import Html, element
from residua.report.sections import panel
from residua.report.tables import prose, row, scroller, table
from residua.thresholds import is_flagged

KEY = "comparison"
_SHOWN = 8  # images a kind of disagreement
Pair = Sequence[tuple[Evaluation, Evidence]]


@dataclass(frozen=True)
class Difference:
    """A metric of both runs, and the second minus the first over the same images."""

    metric: str
    first: float
    second: float
    difference: Estimate


def are_comparable(jobs: Pair) -> bool:
    """Whether these are two runs of one job, judged on the same images in the same order."""
    if len(jobs) != 2 or jobs[0][0].job != jobs[1][0].job:
        return False
    first, second = (evidence for _, evidence in jobs)
    if not np.array_equal(np.asarray(first.paths).astype(str), np.asarray(second.paths).astype(str)):
        return False
    one, two = truth(first), truth(second)
    return one is two if one is None or two is None else bool(np.array_equal(one, two))


def comparison(jobs: Pair, names: Sequence[str], budget: int) -> Html | None:
    """The section; None where the two cannot be compared image by image."""
    if not are_comparable(jobs):
        return None
    found = differences(jobs)
    if not found:
        return None
    drawn = [_distribution(name, *job) for name, job in zip(names, jobs, strict=True)]
    seen = disagreements(jobs, names)
    pictures = None if seen is None else exhibit(seen, budget)[0]
    return panel(
        KEY,
        "differences",
        f"{names[1]} beside {names[0]}",
        element("p", verdict(found[0], names), class_="verdict-line", data_figure=f"{KEY}/verdict"),
        scroller(_table(found, names), "Differences"),
        element("div", drawn, class_="pair"),
        element("h4", "Where they disagree") if pictures else None,
        pictures,
        lede="The same images, each at its own threshold. Differences are paired: image by image.",
    )


def verdict(main: Difference, names: Sequence[str]) -> str:
    """Which run is better by the main metric, or that these images cannot tell.

    Examples
    --------
    >>> verdict(Difference("roc_auc", 0.9, 0.95, Estimate(value=0.05, low=0.01, high=0.09)), ["first", "second"])
    'second is better than first: ROC AUC higher by 0.050 [0.010, 0.090].'
    """
    about, found = words.metric_words(main.metric), main.difference
    value = found.value or 0.0
    if found.low is None or found.high is None or found.low <= 0 <= found.high:
        by = words.interval(main.metric, found)
        return f"These images cannot tell {names[1]} and {names[0]} apart: {about.label} differs by {by}."
    better = (value > 0) == about.higher_is_better
    direction = "higher" if value > 0 else "lower"
    standing = "better" if better else "worse"
    return f"{names[1]} is {standing} than {names[0]}: {about.label} {direction} by {_signless(main)}."


def _signless(main: Difference) -> str:
    found = main.difference
    ends = [abs(end) for end in (found.value, found.low, found.high) if end is not None]
    low, high = min(ends[1:]), max(ends[1:])
    return words.interval(main.metric, Estimate(value=ends[0], low=low, high=high))


def differences(jobs: Pair) -> list[Difference]:
    """The main metrics of the job with paired intervals, the most telling first."""
    job = jobs[0][0].job
    if job == "detect":
        return _of_detectors(jobs)
    if job == "reconstruct":
        return _of_columns("mse", *(evidence.per_image.get("mse") for _, evidence in jobs))
    return _of_columns("accuracy", *(_right(evidence) for _, evidence in jobs))


def _of_columns(metric: str, first: NDArray[Any] | None, second: NDArray[Any] | None) -> list[Difference]:
    if first is None or second is None or len(first) == 0:
        return []
    found = paired_difference_interval(second, first)
    return [Difference(metric, float(np.mean(first)), float(np.mean(second)), found)]


def _right(evidence: Evidence) -> NDArray[np.float64] | None:
    if evidence.probabilities is None or evidence.classes is None or evidence.labels is None:
        return None
    said = np.asarray(evidence.classes).astype(str)[np.asarray(evidence.probabilities).argmax(axis=1)]
    known = np.array([label is not None for label in evidence.labels.tolist()], np.bool_)
    return np.asarray(said[known] == evidence.labels[known].astype(str), np.float64)


def _of_detectors(jobs: Pair) -> list[Difference]:
    (one, first), (two, second) = jobs
    known = truth(first)
    if known is None or first.scores is None or second.scores is None:
        return []
    labelled = known != UNKNOWN
    anomalous = known[labelled] == 1
    if anomalous.all() or not anomalous.any():
        return []
    scores = first.scores[labelled], second.scores[labelled]
    area = roc_auc_difference(anomalous, scores[1], scores[0])
    areas = [one.metrics["roc_auc"].value, two.metrics["roc_auc"].value]
    found = [Difference("roc_auc", areas[0] or 0.0, areas[1] or 0.0, area)]
    if one.operating_point is None or two.operating_point is None:
        return found
    points = one.operating_point, two.operating_point
    flagged = [is_flagged(column, point.threshold).astype(np.float64) for column, point in zip(scores, points, strict=True)]
    for metric, kind in (("recall", anomalous), ("false_alarm_rate", ~anomalous)):
        found += _of_columns(metric, flagged[0][kind], flagged[1][kind])
    return found


def _table(found: Sequence[Difference], names: Sequence[str]) -> Html:
    rows = []
    for one in found:
        about, figure = words.metric_words(one.metric), f"{KEY}/{one.metric}"
        texts = (
            words.number(one.first, about.kind),
            words.number(one.second, about.kind),
            words.interval(one.metric, one.difference),
        )
        cells = (element("td", text, data_figure=f"{figure}/{place}") for place, text in enumerate(texts))
        better = prose("higher is better" if about.higher_is_better else "lower is better")
        rows.append(row(about.label, *cells, better))
    return table(("", *names, "Difference [interval]", ""), rows)


def _distribution(name: str, evaluation: Evaluation, evidence: Evidence) -> Html:
    known, quantity = truth(evidence), "score"
    values = evidence.scores
    if values is None:
        quantity, values = "mse", evidence.per_image.get("mse")
    series: dict[str, Any] = {} if values is None else {"images": values}
    if values is not None and known is not None:
        series = {"normal": values[known == 0], "abnormal": values[known == 1]}
    drawn = Histogram.of(series, quantity)
    point = evaluation.operating_point
    at = f", threshold {words.significant(point.threshold, 4)}" if point else ""
    return element("div", element("h4", f"{name}{at}"), None if drawn is None else histogram(drawn))


def disagreements(jobs: Pair, names: Sequence[str]) -> Exhibit | None:
    """The images that only one of two detectors flags, the clearest first; None where nothing is decided or pictured."""
    (one, first), (two, second) = jobs
    known, pictured = truth(first), first.thumbnails or second.thumbnails
    if known is None or first.scores is None or second.scores is None or pictured is None:
        return None
    if one.operating_point is None or two.operating_point is None:
        return None
    flagged = is_flagged(first.scores, one.operating_point.threshold), is_flagged(second.scores, two.operating_point.threshold)
    apart = np.abs(_ranks(first.scores) - _ranks(second.scores))
    place = {int(image): row for row, image in enumerate(pictured.index.tolist())}
    groups = []
    for kind, verb in ((1, "Caught"), (0, "False alarm")):
        for mine, other, name in ((flagged[0], flagged[1], names[0]), (flagged[1], flagged[0], names[1])):
            images = np.flatnonzero((known == kind) & mine & ~other)
            shown = [int(i) for i in images[np.argsort(-apart[images], kind="stable")] if int(i) in place][:_SHOWN]
            if shown:
                pictures = tuple(Picture(pictured.pixels[place[i]], _name(first, i)) for i in shown)
                groups.append(Group(pictures, f"{verb} by {name} alone: {len(images):,}"))
    return Exhibit.of(groups) if groups else None


def _ranks(scores: NDArray[Any]) -> NDArray[np.float64]:
    return np.argsort(np.argsort(scores, kind="stable"), kind="stable") / max(1, len(scores) - 1)


def _name(evidence: Evidence, image: int) -> str:
    return str(evidence.paths[image]).rsplit("/", 1)[-1]
