"""Two runs on the same images, side by side: paired differences, both distributions, and where they
disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import InputError
from residua.evaluation.comparison import Comparison, Contestant, compare_models
from residua.evaluation.evidence import Evidence
from residua.evaluation.paired import paired_shares
from residua.evaluation.report import words
from residua.evaluation.report.figures import finding_figure, histogram
from residua.evaluation.report.kinds import truth
from residua.evaluation.report.markup import Html, element, prose, row, scroller, table
from residua.evaluation.report.sections import panel
from residua.findings.figures import Figure, Group, Histogram, Picture
from residua.metrics.groups import as_groups
from residua.metrics.names import metric_words
from residua.records import Estimate, Evaluation
from residua.thresholds import is_flagged

KEY = "comparison"
_SHOWN = 8  # images a kind of disagreement
Pair = Sequence[tuple[Evaluation, Evidence]]


def are_comparable(jobs: Pair) -> bool:
    """Whether these are two runs of one job, judged on the same images in the same order."""
    if len(jobs) != 2 or jobs[0][0].job != jobs[1][0].job:
        return False
    first, second = (evidence for _, evidence in jobs)
    judged = [evaluation.provenance.get("fingerprints", {}).get("judged") for evaluation, _ in jobs]
    if judged[0] != judged[1]:
        return False
    if not np.array_equal(
        np.asarray(first.paths).astype(str), np.asarray(second.paths).astype(str)
    ):
        return False
    one, two = truth(first), truth(second)
    return one is two if one is None or two is None else bool(np.array_equal(one, two))


def comparison(jobs: Pair, names: Sequence[str], budget: int) -> Html | None:
    """The section; None where the two cannot be compared image by image."""
    if not are_comparable(jobs):
        return None
    try:
        found = compared(jobs, names)
    except InputError:  # evaluations without scores, labels or errors
        return None
    drawn = [_distribution(name, *job) for name, job in zip(names, jobs, strict=True)]
    seen = disagreements(jobs, names)
    pictures = None if seen is None else finding_figure(seen, budget)[0]
    return panel(
        KEY,
        "differences",
        f"{names[1]} beside {names[0]}",
        element("p", found.sentence, class_="verdict-line", data_figure=f"{KEY}/sentence"),
        scroller(_table(found, jobs, names), "Differences"),
        element("div", drawn, class_="pair"),
        element("h4", "Where they disagree") if pictures else None,
        pictures,
        lede="The same images, each at its own threshold. Differences are paired: image by image.",
    )


def compared(jobs: Pair, names: Sequence[str]) -> Comparison:
    """The second run minus the first; images are matched by their paths."""
    models = [
        Contestant(
            name, evaluation, replace(evidence, pixel_hashes=np.asarray(evidence.paths).astype(str))
        )
        for name, (evaluation, evidence) in zip(names, jobs, strict=True)
    ]
    return compare_models(models[::-1])


def _table(found: Comparison, jobs: Pair, names: Sequence[str]) -> Html:
    second, first = found.standings
    rows = [
        _row(pair.metric, first.metrics[pair.metric], second.metrics[pair.metric], pair.difference)
        for pair in found.pairs
    ]
    rows += [_row(name, *three) for name, three in at_thresholds(jobs).items()]
    return table(("", *names, "Difference [interval]", ""), rows)


def _row(metric: str, first: Estimate, second: Estimate, difference: Estimate) -> Html:
    about, figure = metric_words(metric), f"{KEY}/{metric}"
    texts = (
        words.number(first.value, about.kind),
        words.number(second.value, about.kind),
        words.interval(metric, difference),
    )
    return row(
        about.label,
        *(element("td", text, data_figure=f"{figure}/{place}") for place, text in enumerate(texts)),
        prose("higher is better" if about.higher_is_better else "lower is better"),
    )


def at_thresholds(jobs: Pair) -> dict[str, tuple[Estimate, Estimate, Estimate]]:
    """Recall and false-alarm rate of two detectors at their thresholds, and the difference."""
    (one, first), (two, _) = jobs
    known = truth(first)
    flagged = _flagged(jobs)
    if known is None or flagged is None:
        return {}
    before, after = flagged
    found = {}
    groups = None if first.groups is None else as_groups(first.groups, len(known))
    for metric, kind in (("recall", known == 1), ("false_alarm_rate", known == 0)):
        if kind.any() and metric in one.metrics and metric in two.metrics:
            difference = paired_shares(
                after[kind],
                before[kind],
                confidence=one.metrics[metric].confidence,
                groups=None if groups is None else groups.of(kind),
            ).difference
            found[metric] = one.metrics[metric], two.metrics[metric], difference
    return found


def _distribution(name: str, evaluation: Evaluation, evidence: Evidence) -> Html:
    known, quantity = truth(evidence), "score"
    values = evidence.scores
    if values is None:
        quantity, values = "mse", evidence.per_image.get("mse")
    series: dict[str, Any] = {} if values is None else {"images": values}
    if values is not None and known is not None:
        series = {"normal": values[known == 0], "anomalous": values[known == 1]}
    drawn = Histogram.of(series, quantity)
    point = evaluation.operating_point
    at = f", threshold {words.significant(point.threshold, 4)}" if point else ""
    return element("div", element("h4", f"{name}{at}"), None if drawn is None else histogram(drawn))


def disagreements(jobs: Pair, names: Sequence[str]) -> Figure | None:
    """The images that only one of two detectors flags, the clearest first, or None."""
    (_, first), (_, second) = jobs
    known, pictured, flagged = truth(first), first.thumbnails or second.thumbnails, _flagged(jobs)
    if known is None or flagged is None or pictured is None:
        return None
    apart = np.abs(_ranks(first.scores) - _ranks(second.scores))
    place = {int(image): row for row, image in enumerate(pictured.index.tolist())}
    groups = []
    for kind, verb in ((1, "Caught"), (0, "False alarm")):
        for mine, other, name in (
            (flagged[0], flagged[1], names[0]),
            (flagged[1], flagged[0], names[1]),
        ):
            images = np.flatnonzero((known == kind) & mine & ~other)
            shown = [
                int(i) for i in images[np.argsort(-apart[images], kind="stable")] if int(i) in place
            ][:_SHOWN]
            if shown:
                groups.append(
                    Group(
                        tuple(Picture(pictured.pixels[place[i]], _name(first, i)) for i in shown),
                        f"{verb} by {name} alone: {len(images):,}",
                    )
                )
    return Figure.of(groups) if groups else None


def _flagged(jobs: Pair) -> list[NDArray[np.bool_]] | None:
    """Which images each of two detectors flags; None where one decides nothing."""
    found = []
    for evaluation, evidence in jobs:
        if evidence.scores is None or evaluation.operating_point is None:
            return None
        found.append(is_flagged(evidence.scores, evaluation.operating_point.threshold))
    return found


def _ranks(scores: Any) -> NDArray[np.float64]:
    return np.argsort(np.argsort(scores, kind="stable"), kind="stable") / max(1, len(scores) - 1)


def _name(evidence: Evidence, image: int) -> str:
    return str(evidence.paths[image]).rsplit("/", 1)[-1]
