"""What is read of one argument of the judge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from residua.records import Assumption


@dataclass(frozen=True)
class Column:
    """Values, the ids that stood beside them (None without such a column), and what was assumed.

    ``classes`` names the columns of a matrix, where a header does. ``counts`` says that the ids
    only count rows, as an index does, ``headed`` that the first line was taken for a header.
    ``other`` is the other reading of that line, as data or as a header; None where it can be one
    thing only. ``name`` is what a single column or array is called in its file.
    """

    values: NDArray[Any]
    ids: NDArray[Any] | None = None
    assumptions: tuple[Assumption, ...] = ()
    classes: tuple[str, ...] | None = None
    counts: bool = False
    headed: bool = False
    other: Column | None = None
    name: str | None = None

    def rows(self, order: NDArray[Any], told: Assumption | None = None) -> Column:
        """The rows in another order, and why."""
        ids = None if self.ids is None else self.ids[order]
        more = () if told is None else (told,)
        return replace(
            self,
            values=self.values[order],
            ids=ids,
            assumptions=(*self.assumptions, *more),
            other=None,
        )
