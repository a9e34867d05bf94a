"""Tables as people export them: header or none, one column or several, an id beside the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua._labels import MISSING
from residua._tables import Cells, decimal_comma, number, plain_numbers
from residua.errors import RangeError, ShapeError, SourceError
from residua.evaluation.arrays.class_columns import Named, named_columns
from residua.evaluation.arrays.column import Column, Role
from residua.evaluation.arrays.header import has_header, id_column, index_columns, is_number
from residua.records import Assumption

_NEAR = 0.01
_TRUTH = {"true": "1", "false": "0"}


@dataclass(frozen=True)
class Classes:
    """The classes of the labels, or those that were told: then in the order of the columns."""

    names: tuple[str, ...] = ()
    told: bool = False


@dataclass(frozen=True)
class _Table:
    """The rows of a file below its header, if any, with the line at which each begins."""

    header: list[str] | None
    rows: list[list[str]]
    lines: list[int]
    role: Role
    where: str
    classes: Classes

    @property
    def names(self) -> list[str]:
        return [name.lower() for name in self.header or []]


def read_table(
    cells: Cells,
    wanted: str | None,
    role: Role,
    where: str,
    classes: Classes,
    *,
    problems: Problems,
) -> Column | None:
    """Values of one column, or of a matrix of several, and the ids beside them."""
    if not cells.rows:
        return problems.instead(
            None,
            f"{where} must hold at least one row",
            "an empty file",
            "Write the column again",
            SourceError,
        )
    common, ragged = cells.ragged()
    if ragged:
        return problems.instead(
            None,
            f"{where}: every row must have {common} columns",
            f"others in line {_listed(ragged)}",
            "Correct those lines",
            ShapeError,
        )
    cells, unread = _without_unread(cells)
    rows = _without_empty_columns(cells.rows)
    is_named = cells.named or (
        wanted is not None and wanted.lower() in (cell.strip().lower() for cell in rows[0])
    )
    is_header, sure = (True, True) if is_named else has_header(rows, role, classes.names)

    def read(with_header: bool, noted: Problems) -> Column | None:
        header, start = (rows[0], 1) if with_header else (None, 0)
        return _read(
            _Table(header, rows[start:], cells.lines[start:], role, where, classes), wanted, noted
        )

    column = read(is_header, problems)
    if column is None:
        return None
    other = None if sure or len(rows) < 2 else read(not is_header, Problems(where))
    column = replace(column, assumptions=(*cells.assumptions, *unread, *column.assumptions))
    if other is None:
        return column
    like = "it is unlike the lines below it" if is_header else "it is like the lines below it"
    why = "so there are as many as images"
    column = replace(
        column,
        assumptions=(*column.assumptions, _first_line(where, rows[0], like, is_header=is_header)),
    )
    told = (
        *cells.assumptions,
        *other.assumptions,
        _first_line(where, rows[0], why, is_header=not is_header),
    )
    return replace(column, other=replace(other, assumptions=told))


def _first_line(where: str, row: list[str], why: str, *, is_header: bool) -> Assumption:
    return Assumption(
        about=f"first line of {where}",
        taken=f"{'a header' if is_header else 'data'}: {','.join(row[:5])}",
        because=why,
        to_tell="give the file a header of words",
    )


def _without_unread(cells: Cells) -> tuple[Cells, tuple[Assumption, ...]]:
    """A table of `residua score` without the rows of images that could not be read."""
    header = [cell.strip().lower() for cell in cells.rows[0]]
    if "unreadable" not in header or "score" not in header:
        return cells, ()
    place, score = header.index("unreadable"), header.index("score")
    kept = [row for row, cell in enumerate(cells.rows) if not cell[place] or cell[score]]
    n = len(cells.rows) - len(kept)
    if n == 0:
        return cells, ()
    told = Assumption(
        about="rows without a score",
        taken=f"left out: {n:,}",
        because="their column unreadable says why the image could not be read",
        to_tell="score those images again, or leave out their rows",
    )
    rows, lines = [cells.rows[row] for row in kept], [cells.lines[row] for row in kept]
    return replace(cells, rows=rows, lines=lines), (told,)


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    """Without the columns at the end that a mark after each line makes."""
    width = len(rows[0])
    while width > 1 and not any(row[width - 1] for row in rows):
        width -= 1
    return rows if width == len(rows[0]) else [row[:width] for row in rows]


def _read(table: _Table, wanted: str | None, problems: Problems) -> Column | None:
    if not table.rows:
        return problems.instead(
            None,
            f"{table.where} must hold a row below its header",
            "a header only",
            "Write the column again",
            SourceError,
        )
    ids, counts = id_column(table.header, table.rows, table.role)
    chosen = _chosen(table, wanted, ids, problems)
    if chosen is None:
        return None
    cells = [[row[column] for column in chosen.columns] for row in table.rows]
    values = (
        _numbers(cells, table, problems)
        if table.role.is_numeric
        else _labels(cells, table, problems)
    )
    if values is None:
        return None
    own = None if ids is None else np.array([row[ids] for row in table.rows], dtype=object)
    left = _left_out(table, ids) if counts else ()
    shape = values[:, 0] if len(chosen.columns) == 1 else values
    name = (
        table.header[chosen.columns[0]]
        if table.header is not None and len(chosen.columns) == 1
        else None
    )
    return Column(
        shape,
        own,
        (*chosen.assumptions, *left),
        chosen.classes,
        counts,
        headed=table.header is not None,
        name=name,
    )


def _left_out(table: _Table, ids: int | None) -> tuple[Assumption, ...]:
    if table.header is None or ids is None or table.header[ids]:
        return ()
    told = Assumption(
        about=f"column without a name in {table.where}",
        taken="an index: no values",
        because="its header is empty, as pandas writes an index",
        to_tell="to_csv(index=False)",
    )
    return (told,)


def _chosen(table: _Table, wanted: str | None, ids: int | None, problems: Problems) -> Named | None:
    """The columns of values."""
    role, names = table.role, table.names
    shown = ", ".join(table.header or []) or f"{len(table.rows[0])} columns without a header"
    if wanted is not None and wanted.lower() not in names:
        return problems.instead(
            None,
            f"{table.where} must have a column {wanted}",
            shown,
            "Name one that is there",
            ShapeError,
        )
    if wanted is not None:
        return _told_apart(table, [names.index(wanted.lower())], problems, strict=False)
    if (
        "threshold" in names
        and "score" in names
        and role.name.endswith("labels")
        and "label" not in names
    ):
        return problems.instead(
            None,
            f"{table.where} must hold true labels",
            "a table of scores, whose decisions are no labels",
            "Name the column of true labels: FILE.csv:COLUMN",
            ShapeError,
        )
    beside = (
        {column for column, name in enumerate(names) if name in role.besides}
        | {ids}
        | index_columns(table.header)
    )
    others = [column for column in range(len(table.rows[0])) if column not in beside]
    others = others or [column for column in range(len(table.rows[0])) if column != ids]
    if role.is_predicted and table.header is not None and len(others) > 1 and table.classes.names:
        named = named_columns(table.header, others, table.classes.names, told=table.classes.told)
        if named.classes is not None:
            return _completed(table, named, others)
    known = [names.index(name) for name in role.known_as if name in names]
    if known:
        return Named(known[:1])
    if len(others) == 1 or role.is_matrix:
        return _told_apart(table, others, problems)
    return problems.instead(
        None,
        f"{table.where} must have one column, or one called {role.known_as[0]}",
        shown,
        "Name one, FILE.csv:COLUMN, and give the file a header if it has none",
        ShapeError,
    )


def _told_apart(
    table: _Table, columns: list[int], problems: Problems, *, strict: bool = True
) -> Named | None:
    """The columns with their classes, where a header names them."""
    if table.header is None:
        return Named(columns)
    if not table.role.is_predicted:
        is_one_hot = table.role.name == "labels" and len(columns) > 1
        return Named(
            columns, tuple(table.header[column] for column in columns) if is_one_hot else None
        )
    numeric = [column for column in columns if is_number(table.rows[0][column])]
    if not numeric:
        return Named(columns)
    if len(numeric) < len(columns):
        shown = ", ".join(table.header[column] for column in columns)
        mend = "Name one, FILE.csv:COLUMN, or drop the others"
        return problems.instead(
            None,
            f"{table.where} must have columns of one kind, or one called predictions",
            shown,
            mend,
            ShapeError,
        )
    if (
        not any(_is_fraction(row[column]) for row in table.rows for column in numeric)
        and len(numeric) == 1
    ):
        return Named(numeric)  # classes as numbers
    named = named_columns(table.header, numeric, table.classes.names, told=table.classes.told)
    if named.refused is not None and strict:
        got, mend = named.refused
        return problems.instead(
            None,
            f"{table.where}: its header must name the classes, as the labels do",
            got,
            mend,
            ShapeError,
        )
    return Named(columns) if named.refused is not None else named


def _completed(table: _Table, named: Named, others: list[int]) -> Named:
    """With the columns of classes that no label has, where only with them each row sums to 1."""
    header = table.header or []
    spare = [column for column in others if column not in named.columns]
    texts = [[row[column] for column in (*named.columns, *spare)] for row in table.rows[:200]]
    values = [[number(cell, comma=True) for cell in row] for row in texts]
    n = len(named.columns)
    if not spare or any(value is None for row in values for value in row):
        return named
    sums = np.array([[sum(row[:n]), sum(row)] for row in values])  # type: ignore[arg-type]
    alone, together = (np.abs(sums - 1) <= _NEAR).all(axis=0).tolist()
    return (
        named
        if alone or not together
        else replace(
            named,
            columns=[*named.columns, *spare],
            classes=(*(named.classes or ()), *(header[column] for column in spare)),
        )
    )


def _is_fraction(cell: str) -> bool:
    return not cell.lstrip("+-").isdigit()


def _numbers(cells: list[list[str]], table: _Table, problems: Problems) -> NDArray[Any] | None:
    if (plain := plain_numbers(cells)) is not None:
        return plain
    comma = decimal_comma(cell for row in cells for cell in row)
    if isinstance(comma, str):
        return problems.instead(
            None,
            f"{table.where} must hold numbers that can be read in one way",
            comma,
            "Write numbers with a decimal point and without marks between thousands",
            RangeError,
        )
    read = [[number(cell, comma=comma) for cell in row] for row in cells]
    bad = [
        (line, cell)
        for line, row, values in zip(table.lines, cells, read, strict=True)
        for cell, value in zip(row, values, strict=True)
        if value is None or not math.isfinite(value)
    ]
    if not bad:
        return np.array(read, np.float64)
    return problems.instead(
        None,
        f"{table.where} must hold finite numbers only",
        _bad_cells(bad),
        (
            "Write shares without percent signs: 0.97"
            if bad[0][1].endswith("%")
            else "Correct or leave out those lines"
        ),
        RangeError,
    )


def _bad_cells(bad: list[tuple[int, str]]) -> str:
    shown = repr(bad[0][1]) if bad[0][1] else "an empty cell"
    lines = list(dict.fromkeys(line for line, _ in bad))
    more = f", and {len(bad) - 1} more such cells (lines {_listed(lines)})" if len(bad) > 1 else ""
    return f"{shown} in line {bad[0][0]}{more}"


def _labels(cells: list[list[str]], table: _Table, problems: Problems) -> NDArray[Any] | None:
    """Whole numbers as integers, others as floats, words as they are; None where empty."""
    if table.role.is_predicted:
        missing = [
            (line, cell)
            for line, row in zip(table.lines, cells, strict=True)
            for cell in row
            if cell.lower() in MISSING
        ]
        if missing:
            return problems.instead(
                None,
                f"{table.where} must hold a prediction in each row",
                _bad_cells(missing),
                "Correct or leave out those lines",
                RangeError,
            )
    flat = [cell for row in cells for cell in row if cell.lower() not in MISSING]
    if len(cells[0]) > 1 and flat and all(cell.lower() in (*_TRUTH, "0", "1") for cell in flat):
        cells = [[_TRUTH.get(cell.lower(), cell) for cell in row] for row in cells]
        flat = [_TRUTH.get(cell.lower(), cell) for cell in flat]
    if any(
        cell.lstrip("+-").startswith("0")
        and cell.lstrip("+-").isdigit()
        and len(cell.lstrip("+-")) > 1
        for cell in flat
    ):
        return _texts(cells)  # 007 is a name
    n_numbers = sum(is_number(cell) for cell in flat)
    if n_numbers < len(flat) and not (
        table.role.is_predicted and (len(cells[0]) > 1 or n_numbers * 2 > len(flat))
    ):
        return _texts(cells)
    if all(cell.lstrip("+-").isdigit() and len(cell) < 19 for cell in flat):
        if len(flat) == len(cells) * len(cells[0]):
            return np.array([[int(cell) for cell in row] for row in cells], np.int64)
        return np.array(
            [[int(cell) if cell.lower() not in MISSING else None for cell in row] for row in cells],
            dtype=object,
        )
    if len(flat) == len(cells) * len(cells[0]):
        return _numbers(cells, table, problems)
    return np.array(
        [[number(cell) if cell.lower() not in MISSING else None for cell in row] for row in cells],
        dtype=object,
    )


def _texts(cells: Sequence[Sequence[str]]) -> NDArray[Any]:
    return np.array(
        [[None if cell.lower() in MISSING else cell for cell in row] for row in cells], dtype=object
    )


def _listed(lines: list[int]) -> str:
    return ", ".join(str(line) for line in lines[:5]) + (", ..." if len(lines) > 5 else "")
