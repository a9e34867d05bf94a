"""The numbers of a job: headline metrics as cards, further ones, and the baselines beside them; and
interval bars, a value with its interval and its rivals on one line, as SVG that needs no script.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from residua.evaluation.compression import compression_sentence
from residua.evaluation.report import words
from residua.evaluation.report.markup import Html, element, prose, row, scroller, table
from residua.evaluation.report.sections import panel
from residua.metrics.names import baseline_title, metric_words
from residua.records import Estimate, Evaluation


def scale_of(name: str, estimates: Sequence[Estimate]) -> tuple[float, float]:
    """Where a bar begins and ends: 0 to 1 for shares (closer in when all is near the top), else 0
    to a little above the largest.

    >>> scale_of("roc_auc", [Estimate(value=0.93, low=0.91, high=0.95)])
    (0.9, 1.0)
    >>> scale_of("mse", [Estimate(value=0.004), Estimate(value=0.01)])
    (0.0, 0.0105)
    """
    ends = [end for one in estimates for end in (one.value, one.low, one.high) if end is not None]
    if not ends:
        return 0.0, 1.0
    low, high = min(ends), max(ends)
    if metric_words(name).kind == "share" and low >= -1 and high <= 1:
        steps = (0.9, 0.5, 0.0, -1.0)
        return next(start for start in steps if low >= start), 1.0
    start = min(0.0, low * 1.05)
    return start, high * 1.05 if high > 0 else start + 1.0


def interval_bar(
    name: str, estimate: Estimate, rivals: dict[str, Estimate], ends: tuple[float, float]
) -> Html | None:
    """The bar; its ``aria-label`` says the same in words."""
    if estimate.value is None:
        return None
    low, high = ends

    def at(value: float) -> str:
        return f"{min(max((value - low) / (high - low), 0.0), 1.0) * 100:.2f}%"

    kind = metric_words(name).kind
    marks = [element("line", x1="0", x2="100%", y1=9, y2=9, class_="rail")]
    for title, rival in rivals.items():
        if rival.value is not None:
            text = f"{baseline_title(title)}: {words.number(rival.value, kind)}"
            x = at(rival.value)
            marks.append(
                element("line", element("title", text), x1=x, x2=x, y1=4, y2=14, class_="rival")
            )
    if estimate.low is not None and estimate.high is not None:
        marks.append(
            element("line", x1=at(estimate.low), x2=at(estimate.high), y1=9, y2=9, class_="range")
        )
    marks.append(element("circle", cx=at(estimate.value), cy=9, r=4.5, class_="value"))
    scale = element(
        "span",
        element("span", words.number(low, kind)),
        element("span", words.number(high, kind)),
        class_="ends",
        aria_hidden="true",
    )
    return element(
        "span",
        element(
            "svg",
            *marks,
            width="100%",
            height=18,
            role="img",
            aria_label=words.interval(name, estimate),
        ),
        scale,
        class_="bar-box",
    )


def metrics(key: str, evaluation: Evaluation) -> Html | None:
    """The headline numbers as cards, the rest in a table below."""
    if not evaluation.metrics:
        return None
    names = words.headline_names(evaluation)
    others = [
        name
        for name in evaluation.metrics
        if name not in names and not (evaluation.job == "detect" and name.endswith("]"))
    ]
    columns = math.ceil(len(names) / math.ceil(len(names) / 5))
    cards = element(
        "div",
        (_card(key, name, evaluation) for name in names),
        class_="cards",
        style=f"--columns: {columns}",
    )
    ticks = "; ticks are baselines" if evaluation.baselines else ""
    worth = words.worth_words(evaluation)
    return panel(
        key,
        "metrics",
        "How good it is",
        cards,
        _other_metrics(key, others, evaluation),
        _caveats(key, evaluation),
        _compression(key, evaluation),
        lede=(
            f"Measured on {words.judged_images(evaluation)}. Bars show confidence intervals{ticks}."
            + ("" if worth is None else f" {worth}")
        ),
    )


def _compression(key: str, evaluation: Evaluation) -> Html | None:
    said = compression_sentence(evaluation)
    if said is None:
        return None
    return element("p", said, class_="small", data_figure=f"{key}/compression")


def _card(key: str, name: str, evaluation: Evaluation) -> Html:
    estimate, about = evaluation.metrics[name], metric_words(name)
    rivals = words.baselines_in(evaluation, name)
    meaning = words.meaning(name, evaluation)
    better = "higher is better" if about.higher_is_better else "lower is better"
    return element(
        "article",
        element("h4", words.label(name, evaluation)),
        element(
            "p",
            words.number(estimate.value, about.kind),
            class_="big",
            data_figure=f"{key}/metrics/{name}",
        ),
        element(
            "p",
            _interval_words(name, estimate),
            class_="interval",
            data_figure=f"{key}/metrics/{name}/interval",
        ),
        interval_bar(name, estimate, rivals, scale_of(name, [estimate, *rivals.values()])),
        element("p", f"{meaning}; {better}" if meaning else better, class_="small"),
        (
            element(
                "p",
                f"n = {_count(estimate)}",
                class_="small count",
                data_figure=f"{key}/metrics/{name}/n",
            )
            if estimate.n
            else None
        ),
        class_="card",
    )


def _count(estimate: Estimate) -> str:
    return f"{estimate.n:,} {words.worth(estimate)}".strip()


def _caveats(key: str, evaluation: Evaluation) -> Html | None:
    """Where intervals may not hold, and why there is none."""
    told = words.caveats(evaluation)
    if not told:
        return None
    return element(
        "ul",
        (element("li", element("strong", f"{labels}: "), caveat) for labels, caveat in told),
        class_="small caveats",
        data_figure=f"{key}/metrics/caveats",
    )


def _interval_words(name: str, estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "no interval"
    kind = metric_words(name).kind
    low, high = (
        words.number(estimate.low, kind).removesuffix(" dB"),
        words.number(estimate.high, kind),
    )
    return f"{estimate.confidence:.0%}: {low} to {high}"


def _other_metrics(key: str, names: list[str], evaluation: Evaluation) -> Html | None:
    if not names:
        return None
    return element(
        "details",
        element("summary", f"{len(names)} more"),
        scroller(
            table(
                ("Metric", "Value [interval]", "n", "What it is"),
                (_metric_row(key, name, evaluation) for name in names),
            ),
            "Further metrics",
        ),
    )


def _metric_row(key: str, name: str, evaluation: Evaluation) -> Html:
    estimate = evaluation.metrics[name]
    figure = f"{key}/metrics/{name}"
    return row(
        words.label(name, evaluation),
        element("td", words.interval(name, estimate), data_figure=figure),
        element("td", _count(estimate), data_figure=f"{figure}/n"),
        prose(words.meaning(name, evaluation)),
    )


def baselines(key: str, evaluation: Evaluation) -> Html | None:
    """The model among its baselines: a row and a bar each, and how it stands to the model."""
    main = words.primary_metric(evaluation)
    if not evaluation.baselines or main is None:
        return None
    shown = [
        name
        for name in words.headline_names(evaluation)
        if any(name in values for values in evaluation.baselines.values())
    ]
    first, others = ([name for name in shown if (name == main) is own] for own in (True, False))
    reached = words.baselines_in(evaluation, main)
    ends = scale_of(main, [evaluation.metrics[main], *reached.values()])

    def cells(figure: str, values: dict[str, Estimate], *paired: Html) -> tuple[str | Html, ...]:
        """What is compared first; the table may be wider than the page."""
        bar = interval_bar(main, values[main], {}, ends) if main in values else None
        beside = (_cells(figure, values, some) for some in (first, others))
        return (*next(beside), *paired, *next(beside), element("td", bar, class_="bar"))

    own = cells(f"{key}/model", evaluation.metrics, element("td"), prose(""))
    rows = [row("This model", *own, class_="model")]
    for name in dict.fromkeys((*reached, *evaluation.baselines)):  # those without the metric last
        given = evaluation.baselines[name]
        values = given | ({main: reached[name]} if name in reached else {})
        standing, figure = evaluation.standings.get(name), f"{key}/baselines/{name}"
        told = words.standing_words(standing) if main in values or standing is not None else ""
        difference = element(
            "td", words.difference_cell(standing, main), data_figure=f"{figure}/difference"
        )
        stands = prose(told, words.tone(standing), data_figure=f"{figure}/standing")
        rows.append(row(baseline_title(name), *cells(figure, values, difference, stands)))
    titles = (
        "",
        *(words.label(name, evaluation) for name in first),
        "Model minus baseline",
        "The baseline is",
        *(words.label(name, evaluation) for name in others),
        f"{words.label(main, evaluation)}, to scale",
    )
    return panel(
        key,
        "baselines",
        "Baselines",
        scroller(table(titles, rows, class_="baselines"), "Baselines"),
        lede=_lede(evaluation),
    )


def _lede(evaluation: Evaluation) -> str:
    """What was compared, and how."""
    told = "The same images, the same metrics."
    if evaluation.standings:
        told += (
            " Each baseline is compared with the model in pairs: a difference is shown where its"
            " interval excludes 0. Each interval stands alone."
        )
    if any(one.is_backwards for one in evaluation.standings.values()):
        told += (
            " Turned around: the baseline separates backwards, so its ROC AUC is that of its"
            " negated scores."
        )
    return told


def _cells(figure: str, values: dict[str, Estimate], names: Sequence[str]) -> list[Html]:
    texts = (
        (name, words.interval(name, values[name]) if name in values else "–") for name in names
    )
    return [element("td", text, data_figure=f"{figure}/{name}") for name, text in texts]
