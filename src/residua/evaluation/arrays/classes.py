"""The classes of a judgement: those that were told or that labels hold, and the columns of
predictions in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.errors import LabelError
from residua.evaluation.arrays.column import Column
from residua.evaluation.arrays.table import Classes
from residua.evaluation.labels import label_name, without_missing
from residua.evaluation.naming import listed
from residua.metrics._classes import in_order

_MOST = 10_000


class OrderedColumns(NamedTuple):
    """Labels and predictions, both in the order of `classes`; None where nothing names them."""

    labels: NDArray[Any]
    predictions: NDArray[Any]
    classes: tuple[Any, ...] | None


def known_classes(labels: Column | None, told: Sequence[Any] | NDArray[Any] | None) -> Classes:
    """The classes that the header of predictions may name."""
    if told is not None:
        return Classes(tuple(str(name) for name in told), told=True)
    if labels is None:
        return Classes()
    if labels.classes is not None:
        return Classes(labels.classes)
    values = np.asarray(labels.values)
    if values.ndim == 2 and values.shape[1] > 1:
        return Classes(tuple(str(column) for column in range(values.shape[1])))
    may_miss = values.dtype == object or values.dtype.kind == "f"
    there = without_missing(values).ravel() if may_miss else np.unique(values)
    found = {label_name(value) for value in there.tolist() if value is not None}
    return Classes(tuple(in_order(found)) if len(found) <= _MOST else ())


def arranged(labels: Column, predictions: Column, told: tuple[Any, ...] | None) -> OrderedColumns:
    """Labels and predictions in one order: the told one, else that of the labels' header."""
    y, p, named = np.asarray(labels.values), np.asarray(predictions.values), predictions.classes
    if labels.classes is not None and told is None:
        told = labels.classes
    if named is None:
        return OrderedColumns(y, p, told)
    texts = None if told is None else [str(name) for name in told]
    if p.ndim == 1 and len(named) == 1:
        return _of_one(labels, p, named[0], texts)
    order = in_order(named) if texts is None else texts
    if texts is not None and set(texts) != set(named):
        raise LabelError(
            f"judge: predictions must have one column per class. Got columns of {listed(named)}"
            f" where the classes are {listed(texts)}. Name the same classes in both."
        )
    place = {name: column for column, name in enumerate(named)}
    return OrderedColumns(y, p[:, [place[name] for name in order]], tuple(order))


def _of_one(labels: Column, p: NDArray[Any], name: str, texts: list[str] | None) -> OrderedColumns:
    """A single column of the class `name` as two: the other class is the one that is left."""
    pair = list(known_classes(labels, texts).names)
    ours = p[:, np.newaxis]
    return OrderedColumns(
        np.asarray(labels.values),
        np.hstack([ours, 1 - ours] if pair.index(name) == 0 else [1 - ours, ours]),
        tuple(pair),
    )
