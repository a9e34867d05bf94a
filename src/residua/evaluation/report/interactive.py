"""The sections that the page's script brings to life: scores and threshold, curves, training, the
per-image table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import InputError
from residua.evaluation.evidence import Evidence
from residua.evaluation.report import sections, words
from residua.evaluation.report.gallery import VERDICTS
from residua.evaluation.report.kinds import truth
from residua.evaluation.report.markup import Html, element, row, scroller, table
from residua.evaluation.report.payload import curves, histogram, outcome, shared_folder
from residua.metrics.names import metric_words
from residua.records import Evaluation
from residua.thresholds import choose_threshold, parse_policy

_OF_NORMALS = ("false-alarms<=0.01", "false-alarms<=0.05", "quantile:0.95", "quantile:0.99")
_OF_ANOMALIES = ("recall>=0.95", "precision>=0.9", "cost:20:1", "max-f1")


@dataclass(frozen=True)
class Mark:
    """A policy and its threshold; or None, and why these calibration images cannot support it."""

    policy: str
    threshold: float | None
    why: str = ""


def marks(evaluation: Evaluation, evidence: Evidence) -> list[Mark]:
    """The usual policies on the carried calibration scores, without the chosen one."""
    scores = evidence.calibration_scores
    if evaluation.job != "detect" or scores is None or len(scores) == 0:
        return []
    labels = evidence.calibration_is_anomalous
    has_anomalies = labels is not None and bool(np.asarray(labels, np.bool_).any())
    chosen = (
        None
        if evaluation.operating_point is None
        else str(parse_policy(evaluation.operating_point.policy))
    )
    policies = [
        policy
        for policy in (*_OF_NORMALS, *(_OF_ANOMALIES if has_anomalies else ()))
        if policy != chosen
    ]
    made = [_mark(policy, evidence, labels if has_anomalies else None) for policy in policies]
    if not has_anomalies:
        made.append(
            Mark(
                ", ".join(_OF_ANOMALIES),
                None,
                "They need labelled anomalies among the calibration images.",
            )
        )
    return made


def _mark(policy: str, evidence: Evidence, labels: NDArray[np.bool_] | None) -> Mark:
    try:
        point = choose_threshold(
            policy,
            evidence.calibration_scores,
            labels,
            prevalence=evidence.prevalence,
            groups=evidence.calibration_groups,
        )
    except InputError as error:
        return Mark(policy, None, str(error).partition(": ")[2].partition(" Got ")[0])
    return Mark(policy, point.threshold)


_PEEKS = (("all", "Catch all"), ("none", "No false alarm"), ("f1", "Best F1 here"))
_STRIPS = (
    ("missed", "Missed", "Anomalous, and not flagged; the lowest score first."),
    ("alarm", "False alarms", "Normal, and flagged; the highest score first."),
    ("caught", "Caught", "Anomalous, and flagged; the closest to the threshold first."),
    ("passed", "Left alone", "Normal, and not flagged; the closest to the threshold first."),
)
_UNKNOWN_STRIPS = (
    ("flagged", "Flagged", "The highest score first."),
    ("unflagged", "Not flagged", "The closest to the threshold first."),
)
_CELLS = (
    ("anomalous", (("tp", "caught", "good"), ("fn", "missed", "bad"))),
    ("normal", (("fp", "false alarms", "bad"), ("tn", "left alone", "good"))),
)
_RATES = (
    ("precision", "Precision"),
    ("recall", "Recall"),
    ("f1", "F1"),
    ("alarms", "False-alarm rate"),
)


def scores(key: str, evaluation: Evaluation, evidence: Evidence) -> Html | None:
    """Score histogram with the threshold; for a detector the slider, its counts and curves."""
    drawn = histogram(evaluation, evidence)
    if drawn is None:
        return None
    if evaluation.job != "detect":
        name = "Score" if drawn["quantity"] == "score" else metric_words(drawn["quantity"]).label
        return sections.panel(
            key,
            "scores",
            f"{name}, image by image",
            _chart("histogram", f"Histogram of the {name.lower()} of each image"),
        )
    both = curves(evidence) is not None
    parts = [
        sections.operating_point(key, evaluation),
        _chart("histogram", "Histogram of scores with the threshold"),
        _control(key, evaluation, evidence, both),
    ]
    if both:
        parts += [
            _outcome(key, evaluation, evidence),
            _about_counts(evidence),
            element(
                "div",
                _titled("ROC curve", _chart("roc", "ROC curve with the threshold's point")),
                _titled(
                    "Precision and recall",
                    _chart("pr", "Precision-recall curve with the threshold's point"),
                ),
                class_="pair",
            ),
        ]
    if evidence.thumbnails is not None:
        parts.append(_strips(key, evidence))
    return sections.panel(key, "scores", "Scores and threshold", *parts, class_="threshold")


def _control(key: str, evaluation: Evaluation, evidence: Evidence, both: bool) -> Html:
    slider = element(
        "input",
        type="range",
        id=f"{key}-slider",
        min=0,
        max=1,
        step=1,
        value=0,
        class_="slider",
        aria_describedby=f"{key}-words",
    )
    reset = element("button", "Back to the chosen one", type="button", class_="reset", hidden=True)
    point = evaluation.operating_point
    head = element(
        "div",
        element("label", "Threshold", for_=f"{key}-slider"),
        element(
            "input", type="number", step="any", class_="exact", aria_label="Threshold, exactly"
        ),
        None if point is None else reset,
        class_="control-head",
    )
    track = element(
        "div", slider, element("div", "", class_="ticks", aria_hidden="true"), class_="track"
    )
    return element(
        "div",
        head,
        track,
        element("p", "", id=f"{key}-words", class_="outcome-words", role="status"),
        _policies(key, evaluation, evidence, both),
        class_="control",
        hidden=True,
    )


def _policies(key: str, evaluation: Evaluation, evidence: Evidence, both: bool) -> Html:
    """Buttons that put the threshold where a policy would, by calibration or by the test."""
    found = marks(evaluation, evidence)
    point = evaluation.operating_point
    buttons = [] if point is None else [_go(point.policy, point.threshold, is_chosen=True)]
    buttons += [_go(one.policy, one.threshold) for one in found if one.threshold is not None]
    refused = [
        element("li", element("code", one.policy), " ", one.why)
        for one in found
        if one.threshold is None
    ]
    cannot = None
    if refused:
        cannot = element(
            "details",
            element("summary", "What these calibration images cannot promise"),
            element("ul", refused, class_="refused"),
        )
    by_policy = (
        element("div", buttons, class_="policies", role="group", aria_label="Thresholds by policy")
        if buttons
        else None
    )
    return element(
        "div",
        element("p", "By policy, from calibration images alone:", class_="small")
        if buttons
        else None,
        by_policy,
        cannot,
        _peeks() if both else None,
        class_="by-policy",
    )


def _go(policy: str, threshold: float, *, is_chosen: bool = False) -> Html:
    said = f"{policy}: {words.significant(threshold, 4)}{', chosen' if is_chosen else ''}"
    return element(
        "button",
        parse_policy(policy).in_words(),
        element("small", said),
        data_chosen=is_chosen,
        type="button",
        data_threshold=repr(threshold),
        aria_pressed="false",
    )


def _peeks() -> Html:
    warning = (
        "By looking at the test images. A threshold picked so will seem better than it turns out to"
        " be; choose with calibration images instead."
    )
    return element(
        "div",
        element("p", warning, class_="small"),
        element(
            "div",
            (element("button", title, type="button", data_go=name) for name, title in _PEEKS),
            class_="quick",
        ),
        class_="peeks",
    )


def _outcome(key: str, evaluation: Evaluation, evidence: Evidence) -> Html:
    """Confusion matrix and rates at the stored threshold; the script keeps them up."""
    counts = outcome(evaluation, evidence)
    matrix = table(
        ("", "flagged", "not flagged"),
        (row(title, *(_count(key, counts, *cell) for cell in cells)) for title, cells in _CELLS),
        class_="outcome",
        aria_label="Confusion matrix at the threshold",
    )
    return element(
        "div",
        matrix,
        element("dl", (_rate(key, counts, name, title) for name, title in _RATES), class_="rates"),
        class_="outcome-box",
        hidden=counts is None,
    )


def _about_counts(evidence: Evidence) -> Html:
    """Why what follows the slider has no intervals."""
    in_groups = (
        ""
        if evidence.groups is None
        else " Images of one group tend to go wrong together, so these counts say less than as many"
        " independent images would."
    )
    return element(
        "p",
        "Counts of the test images alone, without intervals; How good it is has the intervals at"
        f" the chosen threshold.{in_groups}",
        class_="small",
    )


def _rate(key: str, counts: dict[str, Any] | None, name: str, title: str) -> Html:
    return element(
        "div",
        element("dt", title),
        element(
            "dd",
            "–" if counts is None else words.number(counts[name], "share"),
            data_rate=name,
            data_figure=f"{key}/outcome/{name}",
        ),
    )


def _count(key: str, counts: dict[str, Any] | None, name: str, word: str, tone: str) -> Html:
    return element(
        "td",
        element(
            "b", "–" if counts is None else f"{counts[name]:,}", data_figure=f"{key}/outcome/{name}"
        ),
        element("small", word),
        data_count=name,
        class_=tone,
    )


def _strips(key: str, evidence: Evidence) -> Html:
    """Empty rows of thumbnails, one a verdict; the script fills them as they come into view."""
    shown = _STRIPS if truth(evidence) is not None else _UNKNOWN_STRIPS
    strips = (
        element(
            "section",
            element("h4", title, " ", element("span", "", class_="count")),
            element("p", about, class_="small"),
            element("div", "", class_="thumbs", role="list", aria_labelledby=f"{key}-strip-{name}"),
            element("button", "Show more", type="button", class_="more", hidden=True),
            class_="strip",
            data_strip=name,
            id=f"{key}-strip-{name}",
            aria_label=title,
        )
        for name, title, about in shown
    )
    return element("div", strips, class_="strips", hidden=True)


def history(key: str, evidence: Evidence) -> Html | None:
    """The training and validation loss, an epoch a point."""
    losses = [
        name
        for name in ("train_loss", "validation_loss")
        if name in evidence.history and len(evidence.history[name])
    ]
    if not losses:
        return None
    return sections.panel(
        key,
        "history",
        "How training went",
        _chart("history", "Loss by epoch, training and validation"),
    )


def per_image(key: str, evidence: Evidence) -> Html:
    """The per-image table; the script fills it a page at a time."""
    folder = shared_folder([str(path) for path in evidence.paths])
    search = element(
        "input",
        type="search",
        placeholder="Filter by path or label",
        aria_label="Filter images by path or label",
    )
    verdicts = (("all", "All images"), *VERDICTS.items())
    choice = element(
        "select",
        (element("option", title, value=value) for value, title in verdicts),
        aria_label="Which images",
        hidden=True,
    )
    grid = scroller(
        element("table", element("thead", ""), element("tbody", ""), class_="images"), "Images"
    )
    pager = element(
        "div", element("button", "Previous", type="button", data_page="-1"), element("span", "",
        role="status", class_="where"),
        element("button", "Next", type="button", data_page="1"), class_="pager",
    )  # fmt: skip
    return sections.panel(
        key,
        "table",
        "Image by image",
        element(
            "div",
            search,
            choice,
            element("button", "Save as CSV", type="button", data_save=True),
            class_="tools",
        ),
        grid,
        pager,
        lede=f"Paths are in {folder}" if folder else None,
        class_="images-panel",
    )


def _chart(kind: str, label: str) -> Html:
    return element("div", "", class_="chart", data_chart=kind, role="img", aria_label=label)


def _titled(title: str, chart: Html) -> Html:
    return element("div", element("h4", title), chart)
