"""CSV files as people export them: header or none, one column or several, an id beside the numbers."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import RangeError, ShapeError, SourceError
from residua.judge.roles import Role

ID_NAMES = ("id", "ids", "path", "paths", "file", "filename", "image", "image_id", "image id", "name", "index")


@dataclass(frozen=True)
class _Table:
    """The rows of a file below its header, if it has one; `first_row` is the number of the first of them, counted from 1."""

    header: list[str] | None
    rows: list[list[str]]
    role: Role
    where: str

    @property
    def first_row(self) -> int:
        return 1 if self.header is None else 2

    @property
    def names(self) -> list[str]:
        return [name.lower() for name in self.header or []]


def read_table(
    path: Path, wanted: str | None, role: Role, where: str, *, problems: Problems
) -> tuple[NDArray[Any], NDArray[Any] | None] | None:
    """Values of one column, or for a matrix of several, and the ids beside them; row numbers count from 1, header included."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        delimiter = _delimiter(file.readline())
        file.seek(0)
        rows = [[cell.strip() for cell in row] for row in csv.reader(file, delimiter=delimiter)]
    while rows and not any(rows[-1]):
        rows.pop()
    if not rows:
        problems.add(f"{where} must hold at least one row", "an empty file", "Write the column again", SourceError)
        return None
    # A blank line is an empty cell of a single column: the label that is missing.
    rows = [row or [""] for row in rows]
    widths = [len(row) for row in rows]
    if len(set(widths)) > 1:
        common = max(set(widths), key=widths.count)
        bad = [index + 1 for index, width in enumerate(widths) if width != common]
        problems.add(
            f"{where}: every row must have {common} columns", f"others in row {_listed(bad)}", "Mend those rows", ShapeError
        )
        return None
    table = _Table(rows[0], rows[1:], role, where) if _has_header(rows, role) else _Table(None, rows, role, where)
    if not table.rows:
        problems.add(f"{where} must hold a row below its header", "a header only", "Write the column again", SourceError)
        return None
    chosen = _columns(table, wanted, problems)
    if chosen is None:
        return None
    id_column, columns = chosen
    cells = [[row[column] for column in columns] for row in table.rows]
    values = _numbers(cells, table, problems) if role.is_numeric else _labels(cells)
    ids = None if id_column is None else np.array([row[id_column] for row in table.rows], dtype=object)
    return None if values is None else (values[:, 0] if len(columns) == 1 else values, ids)


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _has_header(rows: list[list[str]], role: Role) -> bool:
    first = rows[0]
    if any(_number(cell) is not None for cell in first) or not all(first):
        return False
    if {cell.lower() for cell in first} & {*role.known_as, *ID_NAMES}:
        return True
    # Words above numbers are a header; words above words in a column of labels are the first label.
    return any(_number(cell) is not None for row in rows[1:20] for cell in row)


def _columns(table: _Table, wanted: str | None, problems: Problems) -> tuple[int | None, list[int]] | None:
    """The id column, if there is one, and the columns of values."""
    n, names = len(table.rows[0]), table.names
    shown = ", ".join(table.header or []) or f"{n} columns without a header"
    if wanted is not None:
        if wanted.lower() in names:
            return _id_column(table), [names.index(wanted.lower())]
        problems.add(f"{table.where} must have a column {wanted}", shown, "Name one that is there", ShapeError)
        return None
    if n == 1:
        return None, [0]
    id_column = _id_column(table)
    beside = {column for column, name in enumerate(table.names) if name in table.role.besides} | {id_column}
    others = [column for column in range(n) if column not in beside] or [column for column in range(n) if column != id_column]
    known = [names.index(name) for name in table.role.known_as if name in names]
    if known:
        return id_column, known[:1]
    if len(others) == 1 or table.role.is_matrix:
        return id_column, others
    mend = "Name one, FILE.csv:COLUMN, and give the file a header if it has none"
    problems.add(f"{table.where} must have one column, or one called {table.role.known_as[0]}", shown, mend, ShapeError)
    return None


def _id_column(table: _Table) -> int | None:
    """The column that names the images: by its header, else the first of two where it counts up or holds distinct texts."""
    named = next((column for column, name in enumerate(table.names) if name in ID_NAMES), None)
    if named is not None or table.header is not None or len(table.rows[0]) != 2 or len(table.rows) < 3:
        return named
    first, second = ([row[column] for row in table.rows] for column in (0, 1))
    counts_up = first in ([str(i) for i in range(len(first))], [str(i + 1) for i in range(len(first))])
    are_texts = all(_number(cell) is None for cell in first) and len(set(first)) == len(first)
    return 0 if counts_up or (are_texts and (table.role.is_numeric or len(set(second)) < len(second))) else None


def _numbers(cells: list[list[str]], table: _Table, problems: Problems) -> NDArray[Any] | None:
    read = [[_number(cell) for cell in row] for row in cells]
    bad = [
        (index + table.first_row, cell)
        for index, (row, values) in enumerate(zip(cells, read, strict=True))
        for cell, value in zip(row, values, strict=True)
        if value is None or not math.isfinite(value)
    ]
    if not bad:
        return np.array(read, np.float64)
    shown = repr(bad[0][1]) if bad[0][1] else "an empty cell"
    more = f", and {len(bad) - 1} more such cells (rows {_listed([row for row, _ in bad])})" if len(bad) > 1 else ""
    got = f"{shown} in row {bad[0][0]}{more}"
    problems.add(f"{table.where} must hold finite numbers only", got, "Mend or leave out those rows", RangeError)
    return None


def _labels(cells: list[list[str]]) -> NDArray[Any]:
    """Whole numbers as integers, other numbers as floats, words as they are; None where a cell is empty."""
    read = [_number(cell) for row in cells for cell in row if cell]
    if any(value is None for value in read):
        return np.array([[cell or None for cell in row] for row in cells], dtype=object)
    are_whole = all(cell.lstrip("+-").isdigit() for row in cells for cell in row if cell)
    if all(cell for row in cells for cell in row):
        return np.array([[float(cell) for cell in row] for row in cells]).astype(np.int64 if are_whole else np.float64)
    kind = int if are_whole else float
    return np.array([[kind(cell) if cell else None for cell in row] for row in cells], dtype=object)


def _listed(rows: list[int]) -> str:
    return ", ".join(str(row) for row in rows[:5]) + (", ..." if len(rows) > 5 else "")
