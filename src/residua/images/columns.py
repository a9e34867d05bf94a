"""Columns of a row an image that stay small at a million rows.

Texts as UTF-8 in one block, not as objects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from residua._text import printable

_CHUNK = 4096  # texts that wait until they become one block
_TEXT: Any = np.dtypes.StringDType()

Key = TypeVar("Key")
Value = TypeVar("Value")


class TextColumn:
    """A growing column of texts; `array` is what was added, as one variable-width string array."""

    def __init__(self) -> None:
        self._parts: list[NDArray[Any]] = []
        self._pending: list[str] = []

    def append(self, text: str) -> None:
        """Add one text."""
        self._pending.append(text)
        if len(self._pending) == _CHUNK:
            self._flush()

    def __len__(self) -> int:
        return sum(map(len, self._parts)) + len(self._pending)

    def array(self) -> NDArray[Any]:
        """All of them, in order."""
        self._flush()
        self._parts = [np.concatenate(self._parts)] if self._parts else [np.empty(0, _TEXT)]
        return self._parts[0]

    def _flush(self) -> None:
        if self._pending:
            self._parts.append(np.array(self._pending, _TEXT))
            self._pending = []


def texts(values: Iterable[str]) -> NDArray[Any]:
    """`values` as one variable-width string array, about 16 bytes and its own length a text.

    >>> texts(["a.png", "b/c.png"])[1]
    'b/c.png'
    """
    if isinstance(values, np.ndarray) and values.dtype == _TEXT:
        return values
    column = TextColumn()
    for value in values:
        column.append(value)
    return column.array()


def strings(values: Iterable[Any]) -> NDArray[Any]:
    """An object array, so that texts of any length and None stand beside each other."""
    values = list(values)
    array = np.empty(len(values), object)
    array[:] = values
    return array


def shared(values: Iterable[Any]) -> NDArray[Any]:
    """An object array in which equal values are one object.

    8 bytes a row for labels, parts and groups.

    Control characters of texts are spelled out: names of classes and groups are printed everywhere.
    """
    known: dict[Any, Any] = {}

    def kept(value: Any) -> Any:
        key = (type(value), value)
        if key not in known:
            known[key] = printable(value) if isinstance(value, str) else value
        return known[key]

    return np.fromiter((kept(value) for value in values), object)


def grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    """The second parts of pairs by their first, each in the order in which they come.

    >>> grouped([("a", 1), ("b", 2), ("a", 3)])
    {'a': [1, 3], 'b': [2]}
    """
    found: defaultdict[Key, list[Value]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return dict(found)


def taken(column: Sequence[Any] | NDArray[Any] | None, rows: NDArray[np.int64]) -> Any:
    """The `rows` of a column, an array of an array and a list of a list; None of None."""
    if column is None or isinstance(column, np.ndarray):
        return None if column is None else column[rows]
    return [column[row] for row in rows.tolist()]
