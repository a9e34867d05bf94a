"""The gallery: input, reconstruction and error map of the worst and the best images."""

from __future__ import annotations

import numpy as np

from residua.evaluation.evidence import Evidence
from residua.evaluation.report import words
from residua.evaluation.report.kinds import UNKNOWN, ranking_values, truth
from residua.evaluation.report.markup import Html, element
from residua.evaluation.report.pictures import error_ceiling, gallery_pictures
from residua.evaluation.report.sections import panel
from residua.records import Evaluation

VERDICTS = {
    "missed": "Missed", "alarm": "False alarms", "caught": "Caught", "passed": "Passed",
}  # fmt: skip


def gallery(key: str, evaluation: Evaluation, evidence: Evidence, budget: int) -> Html | None:
    """Pictures by their error, the worst first; with a threshold, whether each was caught."""
    shown = evidence.gallery
    if shown is None or len(shown.index) == 0:
        return None
    pictures = gallery_pictures(shown, budget)
    known, (quantity, values) = truth(evidence), ranking_values(evidence)
    index = np.asarray(shown.index)[: len(pictures)]
    order = np.arange(len(index)) if values is None else np.argsort(-values[index], kind="stable")
    figures = [_figure(key, evidence, int(index[row]), pictures[row]) for row in order.tolist()]
    is_live = evaluation.job == "detect" and known is not None and evidence.scores is not None
    groups = [_group(None, figures)] if is_live or values is None else _worst_and_best(figures)
    return panel(
        key,
        "gallery",
        "Images, reconstructions and error maps",
        _chips() if is_live else None,
        *groups,
        _scale(evidence),
        lede=_lede(evidence, quantity, is_live),
    )


def _worst_and_best(figures: list[Html]) -> list[Html]:
    half = (len(figures) + 1) // 2
    return [
        _group("Worst", figures[:half]),
        _group("Best", figures[: half - 1 : -1] if half else figures),
    ]


def _group(title: str | None, figures: list[Html]) -> Html:
    return element(
        "div",
        element("h4", title) if title else None,
        element("div", figures, class_="gallery"),
        class_="gallery-group",
    )


def _chips() -> Html:
    buttons = (
        element(
            "button",
            title,
            " ",
            element("span", "", class_="count"),
            type="button",
            data_verdict=name,
            aria_pressed="true" if name == "all" else "false",
        )
        for name, title in (("all", "All"), *VERDICTS.items())
    )
    return element(
        "div", buttons, class_="chips", role="group", aria_label="Which images to show", hidden=True
    )


def _figure(key: str, evidence: Evidence, index: int, pictures: dict[str, str]) -> Html:
    path = str(evidence.paths[index])
    caption = element(
        "figcaption",
        element("span", _short_name(path), class_="name", title=path),
        element(
            "span",
            facts_line(evidence, index),
            class_="facts-line",
            data_figure=f"{key}/gallery/{index}",
        ),
        element("span", "", class_="verdict"),
    )
    return element(
        "figure",
        element(
            "div", (_picture(role, uri, path) for role, uri in pictures.items()), class_="triple"
        ),
        caption,
        data_index=index,
    )


def _short_name(path: str) -> str:
    """The file with its folder, which says the part or the kind: ``scratch/012.png``."""
    return "/".join(path.split("/")[-2:])


def facts_line(evidence: Evidence, index: int) -> str:
    """What is said below the pictures of one image: its score and what it is."""
    quantity, values = ranking_values(evidence)
    facts = [] if values is None else [f"{quantity} {words.significant(float(values[index]), 3)}"]
    return " · ".join([*facts, *_label_words(evidence, index)])


def _picture(role: str, uri: str, path: str) -> Html:
    return element(
        "div",
        element("img", src=uri, alt=f"{role} of {path}", decoding="async"),
        element("span", role),
        class_="picture",
    )


def _label_words(evidence: Evidence, index: int) -> list[str]:
    facts, known = [], truth(evidence)
    if evidence.labels is not None and evidence.labels[index] is not None:
        facts.append(str(evidence.labels[index]))
    if known is not None and known[index] != UNKNOWN:
        word = "anomalous" if known[index] else "normal"
        facts += [] if word in facts else [word]
    return facts


def _lede(evidence: Evidence, quantity: str, is_live: bool) -> str:
    shown = evidence.gallery
    parts = [f"Ordered by {quantity}, the highest first." if is_live and quantity else ""]
    if shown is not None and shown.masks is not None and shown.masks.any():
        parts.append("The thin line is the marked defect.")
    if is_live:
        parts.append("What is caught and missed follows the threshold above.")
    return " ".join(part for part in parts if part)


def _scale(evidence: Evidence) -> Html | None:
    if evidence.gallery is None or evidence.gallery.error_maps is None:
        return None
    ceiling = words.significant(error_ceiling(evidence.gallery.error_maps), 2)
    return element(
        "p",
        "Error per pixel, one scale for all: 0 ",
        element(
            "span",
            "",
            class_="ramp",
            role="img",
            aria_label="from black through red to pale yellow",
        ),
        f" {ceiling} and more",
        class_="small scale",
    )
