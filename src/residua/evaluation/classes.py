"""Labels and predictions as people have them (names, numbers, one-hot rows, probabilities) read as
classes, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, array_of, as_classes, same_length, unmasked
from residua._labels import perhaps_missing, spelled
from residua.errors import LabelError, ShapeError
from residua.evaluation.labels import without_missing
from residua.evaluation.naming import agree, by_number, listed
from residua.metrics._classes import Classified, classified
from residua.records import Assumption

_NEAR = 1e-3


class ReadClasses(NamedTuple):
    """``known`` tells the labelled images, which `read` is of; and what was assumed for it."""

    known: NDArray[np.bool_]
    read: Classified
    assumptions: tuple[Assumption, ...]


def is_multilabel(labels: Any, predictions: Any, multilabel: bool | None = None) -> bool:
    """Whether labels are a 0/1 matrix of labels that may hold together, and no classes in one-hot
    rows.

    A matrix is one-hot where each of its rows holds one 1 and each row of predictions sums to 1 (or
    names a class). It is multi-label where neither is so. Where the two disagree, `LabelError` asks
    for `multilabel`.

    >>> (
    ...     is_multilabel([[0, 1], [1, 0]], [[0.2, 0.8], [0.7, 0.3]]),
    ...     is_multilabel([[0, 1], [1, 1]], [[0.2, 0.8], [0.7, 0.9]]),
    ... )
    (False, True)
    """
    y = _zeros_and_ones(labels)
    if y is None:
        return False
    sums = y.sum(axis=1)
    one_hot = bool((sums[~np.isnan(sums)] == 1).all())
    if multilabel is None and (np.ndim(predictions) != 2 or np.shape(predictions)[1] == 1):
        return not one_hot
    if multilabel is None and _sums_to_one(predictions) == one_hot:
        return not one_hot
    if multilabel is None or (not multilabel and not one_hot):
        rows = (
            "one 1 in each row of labels" if one_hot else "rows of labels with another number of 1s"
        )
        beside = (
            "sum to 1 in each row" if _sums_to_one(predictions) else "do not sum to 1 in each row"
        )
        mend = (
            "Say which: multilabel=False (--one-label) for one class per image, multilabel=True"
            " (--multilabel) for several"
        )
        raise LabelError(
            "evaluate_classification: the meaning of a 0/1 matrix of labels must be clear: one"
            f" class per image, or several labels per image. Got {rows}, and predictions that"
            f" {beside}. {mend}."
        )
    return bool(multilabel)


def read_classes(
    labels: Any, predictions: Any, classes: Sequence[Any] | NDArray[Any] | None
) -> ReadClasses:
    """Classes of the labelled images; one-hot rows are classes by their column. `InputError` with
    all problems at once.
    """
    told: list[Assumption] = []
    problems = Problems("evaluate_classification")
    y = without_missing(labels)
    p = array_of(unmasked(predictions, "predictions", problems))
    if (matrix := _zeros_and_ones(labels)) is not None:
        if p.ndim == 2 and p.shape[1] not in (1, matrix.shape[1]):
            got = f"{matrix.shape[1]} columns of labels and {p.shape[1]} of predictions"
            problems.add(
                "one-hot labels and predictions must have one shape",
                got,
                "Pass one column per class",
                ShapeError,
            )
        y = _of_columns(matrix, classes)
        told.append(_one_hot(matrix.shape[1]))
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or p.ndim not in (1, 2):
        got = f"{y.shape} and {p.shape}"
        must = (
            "labels must have shape (n_images,), or be a 0/1 matrix like the predictions, and"
            " predictions one or two axes"
        )
        problems.add(must, got, "Pass one row per image", ShapeError)
    else:
        same_length(problems, labels=y, predictions=p)
    problems.raise_any()
    known = np.array([value is not None for value in y.tolist()], np.bool_)
    kept = y[known]
    if kept.dtype == object and not known.all():
        kept = np.array(kept.tolist())
    kept, given = (
        by_number(as_classes(kept, problems=problems), classes),
        _as_read(p[known], len(kept), problems),
    )
    if classes is None:
        _check_all_are_classes(kept, given, problems)
    problems.raise_any()
    if given.dtype.kind != "f":
        given, named = _as_named(kept, given, classes, problems)
        told += named
    problems.raise_any()
    read = classified("evaluate_classification", kept, given, classes)
    if classes is None and read.probabilities is not None:
        told.append(_order(read, given))
    if p.dtype.kind in "biu":  # one-hot rows are answers, of which nothing says how sure they are
        read = read._replace(probabilities=None)
    return ReadClasses(known, read, tuple(told))


def _check_all_are_classes(y: NDArray[Any], given: NDArray[Any], problems: Problems) -> None:
    """Note a problem where a label that nothing is predicted as may say that an image has none."""
    values, counts = np.unique(y, return_counts=True)
    names = [str(value) for value in values.tolist()]
    if given.dtype.kind != "f":
        said = {spelled(value) for value in np.unique(given).tolist()}
    else:
        said = (
            {spelled(name) for name in names}
            if given.ndim == 1 or given.shape[1] == len(names)
            else set()
        )
    found = [
        at
        for at, name in enumerate(names)
        if spelled(name) not in said and perhaps_missing(name, names)
    ]
    if found:
        got = (
            " and ".join(f"{names[at]} ({counts[at]} of {len(y)} images)" for at in found)
            + ", which nothing is predicted as"
        )
        mend = (
            "If it means no label, leave those empty (None, NaN); if a class, name all:"
            " classes=[...] (--classes A,B,...)"
        )
        problems.add("every label must be a class", got, mend, LabelError)


def _zeros_and_ones(labels: Any) -> NDArray[np.float64] | None:
    """Labels as a matrix of 0, 1 and rows of NaN (no label); None where they are none."""
    y = (
        np.ma.filled(labels.astype(np.float64), np.nan)
        if isinstance(labels, np.ma.MaskedArray)
        else array_of(labels)
    )
    if y.ndim != 2 or y.shape[1] < 2:
        return None
    try:
        matrix = np.asarray(y, np.float64)
    except (ValueError, TypeError):
        return None
    return matrix if np.isin(matrix[~np.isnan(matrix).all(axis=1)], (0, 1)).all() else None


def _sums_to_one(predictions: Any) -> bool:
    try:
        p = np.asarray(predictions, np.float64)
    except (ValueError, TypeError):
        return False
    return bool((np.abs(p.sum(axis=1) - 1) <= _NEAR).all() and (p >= 0).all())


def _of_columns(
    matrix: NDArray[np.float64], classes: Sequence[Any] | NDArray[Any] | None
) -> NDArray[Any]:
    """The class of each one-hot row, None for a row of NaN."""
    names = np.arange(matrix.shape[1]) if classes is None else np.array(list(classes), dtype=object)
    if len(names) != matrix.shape[1]:
        raise LabelError(
            "evaluate_classification: classes must name every column of one-hot labels. Got"
            f" {len(names)} names for {matrix.shape[1]} columns. Pass one name per column."
        )
    missing = np.isnan(matrix.sum(axis=1))
    values = names[np.where(missing, 0, matrix.argmax(axis=1))]
    if not missing.any():
        return values if values.dtype != object else np.array(values.tolist())
    listed_values = [
        None if gone else value
        for value, gone in zip(values.tolist(), missing.tolist(), strict=True)
    ]
    return np.array(listed_values, dtype=object)


def _as_read(p: NDArray[Any], n: int, problems: Problems) -> NDArray[Any]:
    """Probabilities as they are; one-hot rows, and whole floats that are none, as classes."""
    if p.ndim == 2 and p.shape[1] == 1:
        p = p[:, 0]
    if p.ndim == 2 and p.dtype.kind in "biu":
        if n and not (np.isin(p, (0, 1)).all() and (p.sum(axis=1) == 1).all()):
            first = p[np.flatnonzero(p.sum(axis=1) != 1)[:1]].ravel().tolist()
            problems.add(
                "whole numbers in several columns must be one-hot rows",
                f"rows such as {listed(first or p[0].tolist())}",
                "Pass one class per image, or probabilities as floats",
                LabelError,
            )
        return p.astype(np.float64)
    if p.dtype.kind == "f" and p.ndim == 1 and len(p) and np.isfinite(p).all():
        is_whole = bool((p == np.trunc(p)).all() and not ((p >= 0) & (p <= 1)).all())
        return p.astype(np.int64) if is_whole else p
    return p if p.dtype.kind == "f" else as_classes(p, name="predictions", problems=problems)


def _as_named(
    kept: NDArray[Any],
    given: NDArray[Any],
    classes: Sequence[Any] | NDArray[Any] | None,
    problems: Problems,
) -> tuple[NDArray[Any], tuple[Assumption, ...]]:
    """Predicted classes as labels spell them; numbers are places of classes told as words."""
    return (by_number(given, classes), ()) if classes is not None else agree(kept, given, problems)


def _one_hot(k: int) -> Assumption:
    return Assumption(
        about="matrix of labels",
        taken="one-hot rows: classes",
        because=f"each row of {k} columns holds one 1, and predictions name one class per image",
        to_tell="--multilabel (multilabel=)",
    )


def _order(read: Classified, given: NDArray[Any]) -> Assumption:
    """Which class each column of probabilities was taken to be of."""
    names = [str(name) for name in read.classes.tolist()]
    if given.ndim == 1 or given.shape[1] == 1:
        why = f"one column is that of the second class, and {names[0]} comes before {names[1]}"
        return Assumption(
            about="class of the probabilities", taken=names[1], because=why, to_tell=_TO_TELL
        )
    numbered = read.classes.dtype.kind == "i" and names == [
        str(column) for column in range(len(names))
    ]
    why = (
        "labels are numbers from 0, and name their columns"
        if numbered
        else "nothing names them, so they are taken in order"
    )
    return Assumption(
        about="order of the columns", taken=listed(names), because=why, to_tell=_TO_TELL
    )


_TO_TELL = "--classes A,B,... (classes=) in the order of the columns, or a header that names them"
