"""Interval bars: a value with its interval and its rivals on one line, as inline SVG that needs no
script.
"""

from __future__ import annotations

from collections.abc import Sequence

from residua.evaluation.report import words
from residua.evaluation.report.markup import Html, element
from residua.metrics.names import baseline_title, metric_words
from residua.records import Estimate


def scale_of(name: str, estimates: Sequence[Estimate]) -> tuple[float, float]:
    """Where a bar begins and ends: 0 to 1 for shares (closer in when all is near the top), else 0
    to a little above the largest.

    Examples
    --------
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
