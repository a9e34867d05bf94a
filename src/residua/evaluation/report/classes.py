"""What a classifier confuses: the confusion matrix as a picture and a table a class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.evidence import Evidence
from residua.evaluation.report import words
from residua.evaluation.report.markup import Html, element
from residua.evaluation.report.sections import panel
from residua.evaluation.report.tables import prose, row, scroller, table

_MOST = 30


def confusion(evidence: Evidence) -> tuple[list[str], NDArray[np.int64]] | None:
    """Class names and counts (rows true, columns predicted) of the labelled images; None without
    probabilities or labels.
    """
    if evidence.probabilities is None or evidence.classes is None or evidence.labels is None:
        return None
    names = [str(name) for name in np.asarray(evidence.classes).tolist()]
    place = {name: row for row, name in enumerate(names)}
    predicted = np.asarray(evidence.probabilities).argmax(axis=1)
    rows = np.array(
        [place.get(str(label), -1) for label in np.asarray(evidence.labels).tolist()], np.int64
    )
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (rows[rows >= 0], predicted[rows >= 0]), 1)
    return names, counts


def classes(key: str, evidence: Evidence) -> Html | None:
    """The section; with more classes than fit a picture, the per-class table alone."""
    found = confusion(evidence)
    if found is None:
        return None
    names, counts = found
    picture = (
        scroller(_matrix(key, names, counts), "Confusion matrix") if len(names) <= _MOST else None
    )
    lede = (
        "Rows are what the images are, columns what the model says; the diagonal is right. Off it,"
        " a row holds the images of a class that are missed (false negatives), a column those"
        " falsely said to be of it (false positives); margins count both."
    )
    return panel(
        key,
        "classes",
        "What it confuses",
        picture,
        scroller(_per_class(key, names, counts), "Classes"),
        lede=lede if picture else None,
    )


def _matrix(key: str, names: list[str], counts: NDArray[np.int64]) -> Html:
    totals, places = np.maximum(counts.sum(axis=1), 1), range(len(names))
    missed, falsely = counts.sum(axis=1) - np.diag(counts), counts.sum(axis=0) - np.diag(counts)
    rows = [
        row(
            names[i],
            *(_cell(int(counts[i, j]), i == j, counts[i, j] / totals[i]) for j in places),
            _margin(missed[i]),
        )
        for i in places
    ]
    rows.append(row("falsely said", *(_margin(falsely[j]) for j in places), _margin(missed.sum())))
    return table(
        ("true \\ said", *names, "missed"),
        rows,
        class_="matrix",
        data_figure=f"{key}/classes/confusion",
    )


def _margin(count: Any) -> Html:
    return element("td", f"{int(count):,}", class_="margin")


def _cell(count: int, is_right: bool, share: float) -> Html:
    tint = f"--share: {min(1.0, share if is_right else share * 3):.3f}"
    return element(
        "td", f"{count:,}" if count else "·", class_="right" if is_right else "wrong", style=tint
    )


def _per_class(key: str, names: list[str], counts: NDArray[np.int64]) -> Html:
    true, said, right = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    rows = []
    for i, name in enumerate(names):
        rates = (
            _ratio(right[i], said[i]),
            _ratio(right[i], true[i]),
            _ratio(2 * right[i], said[i] + true[i]),
        )
        rows.append(row(name, f"{true[i]:,}", *rates, prose(_mistaken(names, counts, i))))
    titles = ("Class", "Images", "Precision", "Recall", "F1", "Most often taken for")
    return table(titles, rows, data_figure=f"{key}/classes/rates")


def _ratio(part: Any, whole: Any) -> str:
    return words.number(float(part) / float(whole), "share") if whole else words.number(None)


def _mistaken(names: list[str], counts: NDArray[np.int64], true: int) -> str:
    wrong = counts[true].copy()
    wrong[true] = 0
    return f"{names[int(wrong.argmax())]} ({wrong.max():,})" if wrong.any() else "–"
