"""What a classifier confuses: the confusion matrix as a picture, a table a class, and how well each
class is ranked and how far probabilities can be believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.classification import OF_PROBABILITIES, WITHOUT_PROBABILITIES
from residua.evaluation.evidence import Evidence
from residua.evaluation.report import words
from residua.evaluation.report.markup import Html, element, prose, row, scroller, table
from residua.evaluation.report.sections import panel
from residua.metrics import reliability_table, roc_auc, roc_curve

_MOST = 30
_COUNTS = "TP", "FP", "FN", "TN"
_SIDE, _PAD = 132, 6
_VERTICES = 120
_BINS = 10


def confusion(evidence: Evidence) -> tuple[list[str], NDArray[np.int64]] | None:
    """Class names and counts (rows true) of the labelled images; None without predictions."""
    predicted = evidence.said
    if predicted is None or evidence.classes is None or evidence.labels is None:
        return None
    names = [str(name) for name in np.asarray(evidence.classes).tolist()]
    rows = _places(evidence.labels, names)
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
        " falsely said to be of it (false positives); margins count both. Below, TP are right, FP"
        " falsely said, FN missed, and TN neither of the class nor said to be."
    )
    return panel(
        key,
        "classes",
        "What it confuses",
        picture,
        scroller(_per_class(key, names, counts), "Classes"),
        lede=lede if picture else None,
        data_figure=f"{key}/classes",
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
    return element(
        "td",
        f"{count:,}" if count else "·",
        class_="right" if is_right else "wrong",
        style=f"--share: {min(1.0, share if is_right else share * 3):.3f}",
    )


@dataclass(frozen=True)
class ClassCounts:
    """What a classifier does with one class: caught, falsely said, missed, and all other images."""

    name: str
    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def wrong(self) -> int:
        """How many images it is wrong about."""
        return self.fp + self.fn


def class_counts(names: list[str], counts: NDArray[np.int64]) -> list[ClassCounts]:
    """The four counts of each class, in the order of `names`.

    >>> class_counts(["cat", "dog"], np.array([[3, 1], [0, 4]]))[0]
    ClassCounts(name='cat', tp=3, fp=0, fn=1, tn=4)
    """
    true, said, right = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    total = int(counts.sum())
    return [
        ClassCounts(
            name,
            int(right[i]),
            int(said[i] - right[i]),
            int(true[i] - right[i]),
            total - int(true[i] + said[i] - right[i]),
        )
        for i, name in enumerate(names)
    ]


def _per_class(key: str, names: list[str], counts: NDArray[np.int64]) -> Html:
    true, said, right = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    rows = []
    for i, one in enumerate(class_counts(names, counts)):
        rows.append(
            row(
                one.name,
                f"{true[i]:,}",
                *(f"{n:,}" for n in (one.tp, one.fp, one.fn, one.tn)),
                _ratio(right[i], said[i]),
                _ratio(right[i], true[i]),
                _ratio(2 * right[i], said[i] + true[i]),
                prose(_mistaken(names, counts, i)),
            )
        )
    titles = ("Class", "Images", *_COUNTS, "Precision", "Recall", "F1", "Most often taken for")
    return table(titles, rows, data_figure=f"{key}/classes/rates")


def _ratio(part: Any, whole: Any) -> str:
    return words.number(float(part) / float(whole), "share") if whole else words.number(None)


def _mistaken(names: list[str], counts: NDArray[np.int64], true: int) -> str:
    wrong = counts[true].copy()
    wrong[true] = 0
    return f"{names[int(wrong.argmax())]} ({wrong.max():,})" if wrong.any() else "–"


def class_curves(key: str, evidence: Evidence) -> Html | None:
    """The section, or why there is none for classes alone; None without classes and labels."""
    title, figure = "How sure it is, and how well it ranks each class", f"{key}/curves"
    if evidence.predicted is not None and evidence.labels is not None:
        why = (
            f"There are no curves and no {OF_PROBABILITIES}: {WITHOUT_PROBABILITIES}. Pass the"
            " probabilities to see them."
        )
        return panel(key, "curves", title, element("p", why), data_figure=figure)
    found = truth_of_classes(evidence)
    if found is None:
        return None
    names, true, probabilities = found
    if np.isin(probabilities, (0, 1)).all():
        why = (
            "There are no curves: all probabilities are 0 or 1. These are decisions, and say"
            " neither how sure the model is nor how it ranks the images."
        )
        return panel(key, "curves", title, element("p", why), data_figure=figure)
    calibration = _calibration(f"{key}/curves", true, probabilities)
    lede = (
        "First, how sure the model is against how often it is right: on the diagonal both are the"
        " same, below it the model is surer than it may be. Then each class against all others: the"
        " further the curve is from the diagonal, the better."
    )
    return panel(
        key,
        "curves",
        title,
        element(
            "div",
            calibration,
            *[
                _roc(f"{key}/curves/class", name, true == column, probabilities[:, column])
                for column, name in enumerate(names[:_MOST])
            ],
            class_="curve-grid",
        ),
        lede=lede,
        data_figure=figure,
    )


def truth_of_classes(
    evidence: Evidence,
) -> tuple[list[str], NDArray[np.int64], NDArray[Any]] | None:
    """The names of the classes, the place of each labelled image in them, and its probabilities."""
    if evidence.probabilities is None or evidence.classes is None or evidence.labels is None:
        return None
    names = [str(name) for name in np.asarray(evidence.classes).tolist()]
    true = _places(evidence.labels, names)
    known = true >= 0
    if not known.any():
        return None
    return names, true[known], np.asarray(evidence.probabilities, np.float64)[known]


def _places(labels: NDArray[Any], names: list[str]) -> NDArray[np.int64]:
    """The place of each label in `names`; -1 without a label."""
    place = {name: row for row, name in enumerate(names)}
    listed = np.asarray(labels, object).tolist()
    return np.array([-1 if one is None else place.get(str(one), -1) for one in listed], np.int64)


def _roc(key: str, name: str, holds: NDArray[np.bool_], scores: NDArray[np.float64]) -> Html:
    if holds.all() or not holds.any():
        return _figure(key, name, "not defined: the images are all of it, or none is", ())
    rate, recall, _ = roc_curve(holds, scores, max_points=_VERTICES)
    area = words.number(roc_auc(holds, scores), "share")
    line = " ".join(
        f"{_x(a):.1f},{_y(b):.1f}" for a, b in zip(rate.tolist(), recall.tolist(), strict=True)
    )
    return _figure(
        key,
        name,
        f"ROC AUC {area}, {int(holds.sum()):,} images",
        (element("polyline", points=line, class_="curve"),),
    )


def _calibration(key: str, true: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Html:
    shares = probabilities / probabilities.sum(axis=1, keepdims=True)
    table = reliability_table(true, shares, bins=_BINS, classes=list(range(shares.shape[1])))
    most = max(1, int(table.n.max()))
    marks = []
    for low, high, n, sure, right in zip(
        table.low, table.high, table.n, table.confidence, table.accuracy, strict=True
    ):
        if not n:
            continue
        said = f"{n:,} images at {low:.1f} to {high:.1f}: sure {sure:.2f}, right {right:.2f}"
        radius = 2 + 5 * float(np.sqrt(n / most))
        marks.append(
            element(
                "circle",
                element("title", said),
                cx=f"{_x(sure):.1f}",
                cy=f"{_y(right):.1f}",
                r=f"{radius:.1f}",
            )
        )
    filled = table.n > 0
    points = zip(table.confidence[filled].tolist(), table.accuracy[filled].tolist(), strict=True)
    line = " ".join(f"{_x(sure):.1f},{_y(right):.1f}" for sure, right in points)
    return _figure(
        key,
        "Calibration",
        "said against right, a larger dot is more images",
        (element("polyline", points=line, class_="curve"), *marks),
    )


def _figure(key: str, title: str, caption: str, drawn: tuple[Html, ...]) -> Html:
    whole = _SIDE + 2 * _PAD
    frame = element("rect", x=_PAD, y=_PAD, width=_SIDE, height=_SIDE, class_="frame")
    diagonal = element("line", x1=_x(0), y1=_y(0), x2=_x(1), y2=_y(1), class_="rail")
    return element(
        "figure",
        element(
            "svg",
            frame,
            diagonal,
            *drawn,
            viewBox=f"0 0 {whole} {whole}",
            class_="square",
            role="img",
            aria_label=f"{title}: {caption}",
        ),
        element(
            "figcaption",
            element("strong", title),
            " ",
            caption,
            data_figure=f"{key}/{title}",
        ),
        class_="curve-figure",
    )


def _x(share: float) -> float:
    return _PAD + share * _SIDE


def _y(share: float) -> float:
    return _PAD + (1 - share) * _SIDE
