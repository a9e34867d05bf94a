"""Tables as people export them (CSV, TSV, spaces; any encoding that can be told) as cells of text.

The one reader of dialects.

Whoever reads a table, a manifest or scores, gets the same rows from the same file. What a column
means is not decided here.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from residua._files import in_a_line, read_file
from residua.errors import MissingExtraError, SourceError
from residua.records import Assumption

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE = 200
_MOST_BYTES = 1 << 30
_POINT = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE
)
_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_GROUPED = re.compile(
    r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?|[+-]?[1-9]\d{0,2}(\.\d{3})+,\d+|[+-]?[1-9]\d{0,2}(\.\d{3}){2,}"
)
_PLAIN = re.compile(r"[0-9eE.+\-\n]+")
# Written by spreadsheets above the header, for themselves.
_SEPARATOR_LINE = re.compile(r"\s*\"?sep=(.)\"?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Cells:
    """The rows of a file as lists of cells, and how they were told apart.

    Cells come without the blanks around them.

    ``lines`` holds the line of the file at which each row begins, counted from 1 as an editor does.
    A blank line between rows is a row of one empty cell; those at the end are gone.
    """

    rows: list[list[str]]
    lines: list[int]
    delimiter: str
    encoding: str
    named: bool = False

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """That the text is in another encoding than UTF-8, where no mark in the file says so."""
        return (
            ()
            if self.encoding in ("utf-8", "utf-16")
            else (
                Assumption(
                    about="encoding of the table",
                    taken=self.encoding,
                    because="its bytes are no UTF-8",
                    to_tell="save it again as CSV in UTF-8",
                ),
            )
        )

    def ragged(self) -> tuple[int, list[int]]:
        """The commonest number of cells in a row, and the lines of the rows that have another."""
        common = Counter(map(len, self.rows)).most_common(1)[0][0] if self.rows else 0
        return common, [
            line for row, line in zip(self.rows, self.lines, strict=True) if len(row) != common
        ]


def read_cells(path: Path) -> Cells:
    """Read a table of text; `SourceError` where its encoding or its quotes cannot be told.

    UTF-8 with or without a mark, UTF-16, and else Windows' Latin letters (cp1252). Commas,
    semicolons, tabs, bars, and spaces between numbers; the first line ``sep=;`` of a spreadsheet is
    obeyed.
    """
    text, encoding = _decoded(path)
    named = _SEPARATOR_LINE.fullmatch(text.partition("\n")[0].rstrip("\r"))
    if named:
        text = text.partition("\n")[2]
    delimiter = named[1] if named else _delimiter(text)
    try:
        rows, lines = _rows(text, delimiter)
    except csv.Error as error:
        raise SourceError(
            f"{path}: a table must be CSV, its quotes closed. Got: {error}. Save it again as CSV in"
            " UTF-8."
        ) from error
    return Cells(rows, [line + (named is not None) for line in lines], delimiter, encoding)


def read_parquet(path: Path, *, most_megabytes: int) -> Cells:
    """The columns of a Parquet file as cells of text below their names.

    Row 1 is the first below the header.

    `SourceError` where a column holds no plain values, or more than `most_megabytes` unpack.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError(f"{path}", "pyarrow", "tables") from error
    rows: list[list[str]] = []
    unpacked = 0
    try:
        with pq.ParquetFile(path) as file:
            names = [str(field.name) for field in file.schema_arrow]
            nested = [
                str(field.name) for field in file.schema_arrow if pa.types.is_nested(field.type)
            ]
            if nested:
                raise SourceError(
                    f"{path}: columns must hold plain values. Got lists or records in {nested[0]}."
                    " Write one number or word a cell."
                )
            for batch in file.iter_batches(batch_size=10_000):
                unpacked += batch.nbytes
                if unpacked > most_megabytes << 20:
                    raise SourceError(
                        f"{path}: a table must unpack to {most_megabytes} MB at most. Got more."
                        " Judge a part."
                    )
                columns = [
                    [_text(value) for value in column.to_pylist()] for column in batch.columns
                ]
                rows.extend(map(list, zip(*columns, strict=True)))
    except pa.ArrowException as error:
        raise SourceError(
            f"{path}: a table must be readable Parquet. Got: {error}. Write it again."
        ) from error
    return Cells([names, *rows], list(range(len(rows) + 1)), ",", "utf-8", named=True)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def number(cell: str, *, comma: bool = False) -> float | None:
    """A cell as a number, or None; stricter than `float`, which takes ``1_000`` for a thousand.

    >>> number("-1.5e3"), number("0,25", comma=True), number("0,25"), number("1_000")
    (-1500.0, 0.25, None, None)
    """
    if comma and _COMMA.fullmatch(cell):
        return float(cell.replace(",", "."))
    return float(cell) if _POINT.fullmatch(cell) else None


def plain_numbers(rows: list[list[str]]) -> NDArray[np.float64] | None:
    """Rows of finite numbers with decimal points as a matrix, fast; None for anything else."""
    import numpy as np

    if not _PLAIN.fullmatch("\n".join("\n".join(row) for row in rows)):
        return None
    try:
        read = np.array(rows, np.str_).astype(np.float64)
    except ValueError:
        return None
    return read if np.isfinite(read).all() else None


def decimal_comma(cells: Iterable[str]) -> bool | str:
    """Whether the comma is the decimal mark of these cells.

    A sentence's object where they can be read in two ways.

    ``0,5`` is half. ``1,234`` alone may be a thousand and more, and so is in no way read.

    >>> decimal_comma(["0,5", "1,234"]), decimal_comma(["0.5", "2"]), decimal_comma(["a, b"])
    (True, False, False)
    >>> decimal_comma(["1,234", "2,500"])
    "'1,234', a thousand and more or a decimal comma"
    """
    with_comma = [
        cell
        for cell in cells
        if "," in cell and (_COMMA.fullmatch(cell) or _GROUPED.fullmatch(cell))
    ]
    if not with_comma:
        return False
    certain = [cell for cell in with_comma if not _GROUPED.fullmatch(cell)]
    grouped = next((cell for cell in with_comma if not _COMMA.fullmatch(cell)), None)
    if grouped is not None:
        return f"{grouped!r}, with a mark between thousands"
    return True if certain else f"{with_comma[0]!r}, a thousand and more or a decimal comma"


def _decoded(path: Path) -> tuple[str, str]:
    try:
        raw = read_file(path, _MOST_BYTES)
    except OSError as error:
        raise SourceError(
            f"{path}: a table must be a readable file. Got: {in_a_line(error)}. Name another, or a"
            " part of it."
        ) from None
    for encoding in _encodings(raw):
        try:
            return raw.decode(encoding), encoding.removesuffix("-sig")
        except UnicodeDecodeError:
            continue
    raise SourceError(
        f"{path}: a table must be text in UTF-8. Got bytes of another encoding. Save it again as"
        " CSV in UTF-8."
    )


def _encodings(raw: bytes) -> tuple[str, ...]:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ("utf-16",)
    head = raw[:1000]
    if head and head.count(0) * 3 >= len(
        head
    ):  # half of the bytes of Latin text in UTF-16 are zero
        return ("utf-16-le",) if head[1::2].count(0) > head[::2].count(0) else ("utf-16-be",)
    return ("utf-8-sig", "cp1252")


def _rows(text: str, delimiter: str) -> tuple[list[list[str]], list[int]]:
    if delimiter == " ":
        split = [line.split() or [""] for line in text.splitlines()]
        rows, lines = split, list(range(1, len(split) + 1))
    else:
        reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=delimiter,
            skipinitialspace=delimiter != "\t",
            strict=True,
        )
        rows, lines, begins = [], [], 1
        for row in reader:
            # A blank line is an empty cell of a single column: the label that is missing.
            rows.append([cell.strip() for cell in row] or [""])
            lines.append(begins)
            begins = reader.line_num + 1
    while rows and not any(rows[-1]):
        rows.pop()
        lines.pop()
    return _without_hash(rows), lines


def _without_hash(rows: list[list[str]]) -> list[list[str]]:
    """The header of NumPy's `savetxt` without the ``#`` in front of it."""
    if (
        not rows
        or not rows[0][0].startswith("#")
        or any(row[0].startswith("#") for row in rows[1:])
    ):
        return rows
    first = [rows[0][0].lstrip("# "), *rows[0][1:]]
    return [first if first[0] else first[1:], *rows[1:]]


def _delimiter(text: str) -> str:
    """The mark that cuts first lines into equally many cells, mostly numbers, without others."""
    lines = (line.rstrip("\r\n") for line in io.StringIO(text, newline=None))
    sample = [line for line in islice(lines, _SAMPLE) if line.strip()]
    if not sample:
        return ","
    best = max(DELIMITERS, key=lambda mark: _fits(sample, mark))
    if _fits(sample, best)[0]:
        return best
    words = [line.split() for line in sample]
    spaced = {len(row) for row in words[1:] or words} == {len(words[-1])} != {1}
    if spaced and all(number(cell) is not None for row in words[1:] or words for cell in row):
        return " "
    if (
        len(sample) > 1
        and all(_COMMA.fullmatch(line.strip()) for line in sample[1:])
        and not set(sample[0]) & set(DELIMITERS)
    ):
        return ";"  # one column with decimal commas below its name
    return max(DELIMITERS, key=lambda mark: (sample[0].count(mark), -DELIMITERS.index(mark)))


def _fits(sample: list[str], mark: str) -> tuple[bool, int, float, int, int]:
    try:
        rows = [
            [cell.strip() for cell in row]
            for row in csv.reader(sample, delimiter=mark, skipinitialspace=True)
        ]
    except csv.Error:
        return False, 0, 0.0, 0, 0
    widths = {len(row) for row in rows}
    cells = [cell for row in rows for cell in row]
    numeric = [number(cell, comma=mark != ",") is not None for cell in cells]
    mixed = sum(
        any(other in cell for other in DELIMITERS)
        for cell, is_number in zip(cells, numeric, strict=True)
        if not is_number
    )
    share = sum(numeric) / max(len(cells), 1)
    return (
        len(widths) == 1 and widths != {1},
        -mixed,
        share,
        max(widths, default=0),
        -DELIMITERS.index(mark),
    )
