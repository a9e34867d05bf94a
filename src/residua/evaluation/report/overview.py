"""Several jobs side by side at the top of a page: the main number of each, and what stands against
it.
"""

from __future__ import annotations

from collections.abc import Sequence

from residua.evaluation.report import opening, words
from residua.evaluation.report.markup import Html, element
from residua.evaluation.report.numbers import interval_bar, scale_of
from residua.metrics.names import metric_words
from residua.records import Estimate, Evaluation


def overview(
    keys: Sequence[str], titles: Sequence[str], evaluations: Sequence[Evaluation]
) -> Html | None:
    """A card a job; nothing for a single one."""
    if len(keys) < 2:
        return None
    return element(
        "nav",
        (
            _card(*one, _beside(one[2], evaluations))
            for one in zip(keys, titles, evaluations, strict=True)
        ),
        class_="overview",
        aria_label="Overview",
    )


def _beside(evaluation: Evaluation, evaluations: Sequence[Evaluation]) -> list[Estimate]:
    """Everything that is drawn for the same metric, so that its bars have one scale."""
    name = words.primary_metric(evaluation)
    same = [one for one in evaluations if name is not None and words.primary_metric(one) == name]
    return [
        estimate
        for one in same
        if name is not None
        for estimate in (one.metrics[name], *words.baselines_in(one, name).values())
    ]


def _word(key: str, evaluation: Evaluation) -> Html | None:
    found = evaluation.verdict
    if found is None:
        return None
    return element(
        "p",
        "".join(opening.WORDS[found.word]).capitalize(),
        class_=f"verdict-word {found.word.replace(' ', '-')}",
        data_figure=f"overview/{key}/verdict",
    )


def _card(key: str, title: str, evaluation: Evaluation, beside: list[Estimate]) -> Html:
    name = words.primary_metric(evaluation)
    number = bar = None
    if name is not None:
        estimate, about = evaluation.metrics[name], metric_words(name)
        number = element(
            "p",
            element("b", words.number(estimate.value, about.kind), data_figure=f"overview/{key}"),
            " ",
            about.label,
            class_="headline",
        )
        rivals = words.baselines_in(evaluation, name)
        bar = interval_bar(name, estimate, rivals, scale_of(name, beside))
    counts = words.severity_counts(evaluation.findings) or "nothing stands against it"
    return element(
        "a",
        element("h3", title),
        _word(key, evaluation),
        number,
        bar,
        element("p", f"{words.judged_images(evaluation)}; {counts}", class_="small"),
        href=f"#{key}",
        class_="overview-card",
        data_job_link=key,
    )
