"""The table of a manifest: which column is what, and its rows as text, whoever exported it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from residua._tables import Cells, read_cells
from residua.errors import SourceError
from residua.images.decoding import OTHER_SUFFIXES, SUFFIXES
from residua.images.sources.split_folders import PART_FOLDERS
from residua.records import Assumption

COLUMNS = ("path", "label", "mask", "split", "group")
# What others call them; of several the first that is there.
_ALSO = {
    "path": ("image_path", "img_path", "file_path", "filepath", "file_name", "filename",
    "image_file", "image_name", "image",
             "img", "file", "paths", "images"),
    "label": ("class", "category", "class_name", "label_name", "target", "labels"),
    "mask": ("mask_path", "maskpath", "mask_file", "mask_name", "masks"),
    "split": ("set", "subset", "part", "partition"),
    "group": ("group_id", "groups"),
}  # fmt: skip
_NOT_A_NUMBER = frozenset({"nan", "NaN", "<NA>", "NaT"})
_AS_FLOAT = re.compile(r"[+-]?\d+\.0")
_INDEX = re.compile(r"|unnamed: \d+|index")


@dataclass(frozen=True, slots=True)
class Row:
    """One of maybe a million rows: the line it begins at, and cells by residua's names."""

    line: int
    cells: list[str]
    places: dict[str, int]

    def __getitem__(self, name: str) -> str:
        place = self.places.get(name)
        return "" if place is None else self.cells[place]

    def __setitem__(self, name: str, cell: str) -> None:
        self.cells[self.places[name]] = cell


@dataclass(frozen=True)
class ManifestTable:
    """The rows of a manifest, the places of its other columns, and what was assumed.

    ``group_column`` is its own name of the column of groups.
    """

    rows: list[Row]
    own: dict[str, int]
    group_column: str
    assumptions: tuple[Assumption, ...]


def read_table(path: Path) -> ManifestTable:
    """Read a manifest's rows, `SourceError` where a column or a row could mean two things."""
    cells = read_cells(path)
    header = [name.strip().lower() for name in cells.rows[0]] if cells.rows else []
    _refuse_images_for_names(path, header)
    bodies = [
        (line, row) for line, row in zip(cells.lines[1:], cells.rows[1:], strict=True) if any(row)
    ]
    names, assumptions = _named(path, _without_nameless(path, cells, header, bodies), bodies)
    if not bodies:
        raise SourceError(
            f"{path}: a manifest must have one row per image. Got none below the header. Add rows."
        )
    known = {name: place for place, name in names.items() if name in COLUMNS}
    own = {
        cells.rows[0][place].strip(): place for place, name in names.items() if name not in COLUMNS
    }
    rows = [_row(path, line, row, known, len(header)) for line, row in bodies]
    group_column = cells.rows[0][known["group"]].strip() if "group" in known else "group"
    return ManifestTable(
        rows, own, group_column, (*cells.assumptions, *assumptions, *_mended(rows))
    )


def check_columns(path: Path, names: Sequence[str]) -> None:
    """Refuse columns that are not residua's, as `write_manifest` does: it writes no others."""
    wrong = [name for name in names if name not in COLUMNS]
    if wrong:
        close = difflib.get_close_matches(wrong[0], COLUMNS, 1, 0.5)
        mend = f"Did you mean {close[0]!r}?" if close else "Drop the column."
        raise SourceError(
            f"{path}: the columns of a manifest are {', '.join(COLUMNS)}. Got"
            f" {', '.join(map(repr, wrong))}. {mend}"
        )
    if "path" not in names:
        raise SourceError(
            f"{path}: a manifest must have a column path. Got {', '.join(names) or 'no header'}."
            " Add it."
        )


def _refuse_images_for_names(path: Path, header: Sequence[str]) -> None:
    named = next((name for name in header if Path(name).suffix in SUFFIXES | OTHER_SUFFIXES), None)
    if named is not None:
        raise SourceError(
            f"{path}: the first row of a manifest must name its columns. Got no header: {named!r}"
            " looks like an image. Write a line such as path,label above it."
        )


def _without_nameless(
    path: Path, cells: Cells, header: list[str], bodies: list[tuple[int, list[str]]]
) -> dict[int, str]:
    """The named columns by place, without the index of pandas and empty columns."""
    named = {}
    for place, name in enumerate(header):
        column = [row[place] for _, row in bodies if place < len(row)]
        if name and not (
            place == 0 and _INDEX.fullmatch(name) and all(cell.isdigit() for cell in column)
        ):
            named[place] = name
        elif (
            not name and any(column) and not (place == 0 and all(cell.isdigit() for cell in column))
        ):
            raise SourceError(
                f"{path}: every column must have a name. Got none above {column[0]!r}. Name or drop"
                f" column {place + 1}."
            )
    twice = sorted({name for name in named.values() if list(named.values()).count(name) > 1})
    if twice:
        raise SourceError(
            f"{path}: every column must occur once. Got {', '.join(map(repr, twice))} twice. Drop"
            " or rename one."
        )
    return named


def _named(
    path: Path, given: dict[int, str], bodies: list[tuple[int, list[str]]]
) -> tuple[dict[int, str], list[Assumption]]:
    """Each column's name to residua by its place, and what was taken for what."""
    cells = {
        name: [cell for _, row in bodies for cell in row[place : place + 1]]
        for place, name in given.items()
        if name in _ALSO["split"]
    }
    names, assumptions = named_columns(
        f"{path}", {name: cells.get(name, ()) for name in given.values()}
    )
    return {place: names[name] for place, name in given.items()}, assumptions


def named_columns(
    where: str, given: Mapping[str, Iterable[Any]]
) -> tuple[dict[str, str], list[Assumption]]:
    """Each column's own name to residua's, and what was taken for what.

    Cells are looked at only of a column that may hold parts.
    """
    there, taken = {name.lower(): name for name in given}, {}
    for name, others in _ALSO.items():
        other = next((there[one] for one in others if one in there), None)
        holds = other is not None and (name != "split" or _are_parts(given[other]))
        if name not in there and other is not None and holds:
            taken[other] = name
    names = {own: taken.get(own, own.lower() if own.lower() in COLUMNS else own) for own in given}
    if "path" not in names.values():
        raise SourceError(
            f"{where}: a table of images must have a column path, image or file. Got"
            f" {', '.join(given) or 'no header'}. Rename the one that says where each image is."
        )
    for name in given:
        close = difflib.get_close_matches(
            name, [one for one in COLUMNS if one not in names.values()], 1, 0.8
        )
        if names[name] not in COLUMNS and close:
            raise SourceError(
                f"{where}: a column's name must be meant as it stands. Got {name!r}. Did you mean"
                f" {close[0]!r}?"
            )
    made = Assumption(
        about="columns of the manifest",
        taken=", ".join(f"{other} as {name}" for other, name in taken.items()),
        because="by their names",
        to_tell=f"name them {','.join(COLUMNS)}",
    )
    return names, [made] if taken else []


def _are_parts(cells: Iterable[Any]) -> bool:
    """Whether ``part`` or ``set`` names train and test, and not what was photographed."""
    return all(str(cell).lower() in PART_FOLDERS for cell in cells if cell)


def _row(path: Path, line: int, cells: list[str], places: dict[str, int], width: int) -> Row:
    if any(cells[width:]):
        raise SourceError(
            f"{path}: rows must have as many cells as the header. Got more in line {line}. Quote"
            " cells with commas."
        )
    cells.extend([""] * (width - len(cells)))
    row = Row(line, cells, places)
    if not row["path"]:
        raise SourceError(
            f"{path}: every row must have a path. Got none in line {line}. Fill it in, or drop the"
            " row."
        )
    if "\0" in row["path"] + row["mask"]:
        raise SourceError(
            f"{path}: a path must be one that a file system can hold. Got a NUL in line {line}."
            " Correct it."
        )
    return row


def _mended(rows: list[Row]) -> list[Assumption]:
    """Mend, in place, cells as pandas writes them: ``nan`` is none, and 0.0 the label 0."""
    told = []
    n_missing = 0
    for row in rows:
        for name in row.places:
            if row[name] in _NOT_A_NUMBER and name != "path":
                row[name] = ""
                n_missing += 1
    if n_missing:
        told.append(
            Assumption(
                about="cells of the manifest",
                taken=f"{n_missing:,} of nan as none",
                because="pandas writes so what is missing",
                to_tell="leave a cell empty, or give the label another name",
            )
        )
    labels = [row["label"] for row in rows if row["label"]]
    if labels and all(_AS_FLOAT.fullmatch(label) for label in labels):
        for row in rows:
            if row["label"]:
                row["label"] = row["label"].removesuffix(".0")
        told.append(
            Assumption(
                about="labels of the manifest",
                taken=f"{labels[0]} as {labels[0].removesuffix('.0')}",
                because=(
                    "all are whole numbers that end in .0, as pandas writes them beside missing"
                    " ones"
                ),
                to_tell="write whole numbers or words",
            )
        )
    return told
