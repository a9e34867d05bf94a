"""What stands around the values of a table: whether its first line is a header, and which column
names the images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from residua._tables import number
from residua.evaluation.arrays.column import Role

ID_NAMES = (
    "id", "ids", "path", "paths", "file", "filename", "file_name", "image", "image_id", "image id",
    "name", "index",
)  # fmt: skip
_INDEX = ("", "unnamed: 0")
_FEW = 8


def has_header(
    rows: Sequence[Sequence[str]], role: Role, classes: Sequence[str]
) -> tuple[bool, bool]:
    """Whether the first row names the columns, and whether it can be nothing else."""
    first = [cell.lower() for cell in rows[0]]
    below = rows[1:]
    if set(first) & {*role.known_as, *ID_NAMES} or (
        below and first[0] in _INDEX and all(first[1:]) and len(first) > 1
    ):
        return True, True
    numeric = [is_number(cell) for cell in first]
    if all(numeric):
        return _numbers_as_header(rows, role, classes)
    if any(numeric) or not all(first):
        return False, True
    if any(is_number(cell) for row in below[:20] for cell in row):
        return True, True  # words above numbers
    return _word_as_header(rows)


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, however it is written."""
    return number(cell.removesuffix("%").rstrip(), comma=True) is not None


def _word_as_header(rows: Sequence[Sequence[str]]) -> tuple[bool, bool]:
    """Words above words: the first label, unless it is the only one that never comes again."""
    below = Counter(row[0] for row in rows[1:])
    return (
        (False, True)
        if len(rows[0]) > 1 or below[rows[0][0]]
        else (len(rows) > _FEW and min(below.values()) > 1, False)
    )


def _numbers_as_header(
    rows: Sequence[Sequence[str]], role: Role, classes: Sequence[str]
) -> tuple[bool, bool]:
    """Whole numbers that count columns or name classes, above values written otherwise."""
    first, below = rows[0], rows[1:]
    if not all(cell.isdigit() for cell in first) or len(set(first)) < len(first) or not below:
        return False, True
    counts = sorted(map(int, first)) in (list(range(len(first))), list(range(1, len(first) + 1)))
    if not counts and not (classes and set(first) == set(classes)):
        return False, True
    if len(first) == 1:
        others = Counter(row[0] for row in below)
        never_again = "0" not in others and len(below) > _FEW and min(others.values()) > 1
        unlike = not any(cell.isdigit() for cell in others)
        return (
            (never_again or unlike, False)
            if first == ["0"] or (unlike and first[0] in classes)
            else (False, True)
        )
    if len(first) > 2 and (role.is_classes or len(first) > _FEW):
        return True, True  # no row of probabilities, of 0 and 1, or of pixels counts like this
    written_alike = any(all(cell.isdigit() for cell in row) for row in below[:200])
    return not written_alike, False


def id_column(
    header: Sequence[str] | None, rows: Sequence[Sequence[str]], role: Role
) -> tuple[int | None, bool]:
    """The column that names the images, and whether it only counts rows."""
    if header is not None:
        names = [name.lower() for name in header]
        named = next((column for column, name in enumerate(names) if name in ID_NAMES[:-1]), None)
        if named is not None and len(names) > 1:
            return named, False
        index = next(
            (column for column, name in enumerate(names) if name in (*_INDEX, "index")), None
        )
        if index is None or len(names) == 1:
            return None, False
        return index, all(is_number(row[index]) for row in rows)
    if len(rows[0]) != 2 or len(rows) < 3:
        return None, False
    first, second = ([row[column] for row in rows] for column in (0, 1))
    if first in ([str(i) for i in range(len(first))], [str(i + 1) for i in range(len(first))]):
        return 0, True
    are_texts = not any(is_number(cell) for cell in first) and len(set(first)) == len(first)
    return (0 if are_texts and (role.is_numeric or len(set(second)) < len(second)) else None), False


def index_columns(header: Sequence[str] | None) -> set[int]:
    """Columns without a name, which are no values."""
    return {column for column, name in enumerate(header or ()) if name.lower() in _INDEX}
