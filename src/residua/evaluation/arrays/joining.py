"""Rows of several files brought together: which first lines are headers, and which rows are the
same image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import ShapeError
from residua.evaluation.arrays.column import Column
from residua.records import Assumption

Columns = Mapping[str, Column | None]


def with_one_length(columns: Columns) -> dict[str, Column]:
    """The columns that were given, a first line read the other way where only so all are of one
    length.
    """
    given = {name: column for name, column in columns.items() if column is not None}
    if len({_length(column) for column in given.values()}) < 2:
        return given
    readings = [
        [column] if column.other is None else [column, column.other] for column in given.values()
    ]
    same = [one for one in product(*readings) if len({_length(column) for column in one}) == 1]
    if not same:
        return given
    # That a line is a header was read off it; that it is none was not.
    return dict(
        zip(given, max(same, key=lambda one: sum(column.headed for column in one)), strict=True)
    )


def _length(column: Column) -> int:
    return len(np.atleast_1d(column.values))


def joined(columns: Mapping[str, Column], problems: Problems) -> dict[str, Column]:
    """The columns with their rows in one order; a problem where they don't list the same images.

    Ids that are the same in another order are joined, and so are paths that differ by their folders
    alone, if no column is without ids. An index, which only counts rows, is compared with another
    index and joins nothing.
    """
    found = dict(columns)
    for counts in (False, True):
        named = [
            name
            for name, column in columns.items()
            if column.ids is not None and column.counts == counts
        ]
        for name in named[1:]:
            found[name] = _beside(named[0], name, found, problems)
    return found


def _beside(first: str, name: str, columns: Mapping[str, Column], problems: Problems) -> Column:
    """The column called `name` in the order of the one called `first`."""
    one, other = columns[first], columns[name]
    ids, others = _texts(one.ids), _texts(other.ids)
    if (
        len(ids) != len(others)
        or (ids == others).all()
        or (one.counts and _counts(ids) and _counts(others))
    ):
        return other
    order = _order(ids, others)
    without = [f"--{key}" for key, column in columns.items() if column.ids is None or column.counts]
    why = f"--{first} and --{name} list the same ids in another order"
    taken = "joined by id"
    if order is None:
        short, shorter = _file_names(ids), _file_names(others)
        order = _order(short, shorter)
        why, taken = (
            f"paths of --{first} and --{name} differ by their folders alone",
            "joined by the file's name",
        )
        if order is not None and (short == shorter).all():
            without = []  # nothing moves
    if order is None or one.counts or without or _counts(ids) or _counts(others):
        row = int(np.flatnonzero(ids != others)[0])
        got = f"{ids[row]!s} and {others[row]!s} for image {row + 1}"
        if order is not None and without and not one.counts:
            got += f", and no ids in {', '.join(without)}"
        return problems.instead(
            other,
            f"--{first} and --{name} must list the same images in the same order",
            got,
            "Sort both by id",
            ShapeError,
        )
    told = Assumption(
        about=f"rows of --{name}",
        taken=taken,
        because=why,
        to_tell="files that list the images in one order",
    )
    return replace(other.rows(order, told), ids=one.ids)


def _texts(ids: NDArray[np.object_] | None) -> NDArray[np.str_]:
    return np.array([str(one) for one in np.asarray(ids).tolist()], np.str_)


def _file_names(ids: NDArray[np.str_]) -> NDArray[np.str_]:
    return np.array([one.replace("\\", "/").rpartition("/")[2] for one in ids.tolist()], np.str_)


def _order(ids: NDArray[np.str_], others: NDArray[np.str_]) -> NDArray[np.int64] | None:
    """Where in `others` each of `ids` stands; None unless both hold the same ids, each once."""
    by_id, by_other = np.argsort(ids, kind="stable"), np.argsort(others, kind="stable")
    ranked = ids[by_id]
    if (ranked[1:] == ranked[:-1]).any() or not np.array_equal(ranked, others[by_other]):
        return None
    order = np.empty(len(ids), np.int64)
    order[by_id] = by_other
    return order


def _counts(ids: NDArray[np.str_]) -> bool:
    """Whether ids count 0, 1, 2, ... or 1, 2, 3, ...: then they may number the rows of their own
    file, and name no image.
    """
    return any(
        np.array_equal(ids, np.arange(start, start + len(ids)).astype(np.str_)) for start in (0, 1)
    )
