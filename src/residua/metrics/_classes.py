"""True classes beside predicted ones or probabilities.

Checked once, brought to indices into one list of classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, as_classes, as_probabilities, same_length
from residua._text import few
from residua.errors import LabelError, RangeError

Indices = NDArray[np.int64]
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_DIGITS = re.compile(r"(\d+)", re.ASCII)


class Classified(NamedTuple):
    """`true` and `predicted` index into `classes`.

    `probabilities` (n_images, n_classes) is None where classes were given.
    """

    classes: NDArray[Any]
    true: Indices
    predicted: Indices
    probabilities: NDArray[Any] | None


def in_order(names: Iterable[Any]) -> list[Any]:
    """Names of classes, each once, in the order in which people count.

    2 comes before 10, as numbers and as text.

    >>> in_order(["10", "2", "-1"]), in_order(["class 10", "class 2", "other"])
    (['-1', '2', '10'], ['class 2', 'class 10', 'other'])
    """
    return sorted(set(names), key=_natural)


def _natural(name: Any) -> tuple[Any, ...]:
    text = str(name)
    if _NUMBER.fullmatch(text):
        return 0, float(text), text
    return (
        1,
        [
            int(part) if part.isdecimal() and part.isascii() else part
            for part in _DIGITS.split(text)
        ],
        text,
    )


def _present(*labels: NDArray[Any]) -> NDArray[Any]:
    """All that occur, each once, in order."""
    names = np.unique(np.concatenate(labels))
    return names if names.dtype.kind != "U" else np.array(in_order(names.tolist()), names.dtype)


def classified(where: str, y_true: Any, y_pred: Any, classes: Any) -> Classified:
    """Integers or strings are classes.

    One float column is P(second class), several are probabilities.

    The first of several equal probabilities wins, so P(second class) = 0.5 is the first class.
    """
    if np.asarray(y_pred).dtype.kind == "f":
        names, true, probabilities = with_probabilities(where, y_true, y_pred, classes)
        return Classified(names, true, probabilities.argmax(axis=1), probabilities)
    problems = Problems(where)
    y, p = (
        as_classes(y_true, name="y_true", problems=problems),
        as_classes(y_pred, name="y_pred", problems=problems),
    )
    problems.raise_any()
    same_length(problems, y_true=y, y_pred=p)
    are_of_two_kinds = y.dtype.kind != p.dtype.kind
    y, p, given = _one_kind(
        y, p, None if classes is None else as_classes(classes, name="classes", problems=problems)
    )
    if are_of_two_kinds and len(y) and len(p) and not np.isin(p, y).any():
        problems.add(
            "y_true and y_pred must name classes alike",
            f"{', '.join(np.unique(y)[:4])} and {', '.join(np.unique(p)[:4])}",
            "Map both to the same: classes[y_pred], where classes lists the names",
            LabelError,
        )
    names = _present(y, p) if given is None else given
    true, predicted = _index(y, names, "y_true", problems), _index(p, names, "y_pred", problems)
    problems.raise_any()
    return Classified(names, true, predicted, None)


def with_probabilities(
    where: str, y_true: Any, probabilities: Any, classes: Any
) -> tuple[NDArray[Any], Indices, NDArray[Any]]:
    """Classes, indices of the true ones, and probabilities in the order of the classes."""
    problems = Problems(where)
    y, p = (
        as_classes(y_true, name="y_true", problems=problems),
        as_probabilities(probabilities, problems=problems),
    )
    problems.raise_any()
    same_length(problems, y_true=y, probabilities=p)
    given = None if classes is None else as_classes(classes, name="classes", problems=problems)
    if given is not None:
        y, given, _ = _one_kind(y, given, None)
    names = _column_names(y, p.shape[1], given, problems)
    true = _index(y, names, "y_true", problems)
    problems.raise_any()
    return names, true, p


def _column_names(
    y: NDArray[Any], n_columns: int, given: NDArray[Any] | None, problems: Problems
) -> NDArray[Any]:
    """The classes of the columns.

    As named, else the labels in order, else 0, 1, 2 ... where the labels are such integers.
    """
    present = _present(y)
    if (
        given is None
        and y.dtype.kind == "i"
        and (not len(y) or (present[0] >= 0 and present[-1] < n_columns))
    ):
        return np.arange(n_columns)
    names = present if given is None else given
    if len(names) != n_columns:
        return problems.instead(
            present,
            "probabilities must have one column per class",
            f"{len(names)} classes and {n_columns} columns",
            "Name the classes of the columns: classes=[...]",
            LabelError,
        )
    return names


def _one_kind(*labels: NDArray[Any] | None) -> list[Any]:
    """All as integers, or all as strings where one of them is.

    A CSV file gives "3" where an array gives 3.
    """
    kinds = {array.dtype.kind for array in labels if array is not None and len(array)}
    return [array if array is None or len(kinds) < 2 else array.astype(np.str_) for array in labels]


def _index(labels: NDArray[Any], names: NDArray[Any], name: str, problems: Problems) -> Indices:
    if not len(labels):
        return np.zeros(0, np.int64)
    if len(np.unique(names)) != len(names):
        return problems.instead(
            np.zeros(0, np.int64),
            "classes must differ",
            f"{names.tolist()}",
            "Name each class once",
            LabelError,
        )
    order = np.argsort(names)
    found: Indices = order[np.minimum(np.searchsorted(names, labels, sorter=order), len(names) - 1)]
    unknown = np.unique(labels[names[found] != labels])
    if len(unknown):
        problems.add(
            f"{name} must hold known classes only",
            f"{few(unknown.tolist(), 6)} beside {names.tolist()[:12]}",
            "Add them to classes",
            LabelError,
        )
    return found


def check_average(where: str, average: str | None, known: tuple[str, ...]) -> None:
    """Refuse an average that is not `known`; None is one value a class."""
    if average is not None and average not in known:
        raise RangeError(
            f"{where}: average must be {', '.join(map(repr, known))} or None. Got {average!r}. Pass"
            " one of these."
        )
