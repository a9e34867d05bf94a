"""Data frames of pandas and polars: a row an image, by path or as bytes.

Columns are those of a manifest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from residua._text import few
from residua.errors import ImageError, SourceError
from residua.images.columns import shared, texts
from residua.images.listing import Listing, Options
from residua.images.masks import MaskFiles
from residua.images.objects.items import list_items
from residua.images.sources.manifest_table import COLUMNS, named_columns
from residua.images.sources.split_folders import PART_FOLDERS
from residua.images.stores import read_bytes

_LAZY = "LazyFrame"


def recognises(thing: Any) -> bool:
    """Frames of pandas and polars."""
    return type(thing).__module__.split(".")[0] in {"pandas", "polars"} and hasattr(
        thing, "columns"
    )


def read(thing: Any, options: Options) -> Listing:
    """One image a row; an empty cell is *none*; paths are relative to ``root`` or the folder."""
    if type(thing).__name__ == _LAZY:
        raise SourceError("load_images: a frame must hold its rows. Got a LazyFrame. Collect it.")
    given = {str(name).strip(): _cells(thing[name]) for name in thing.columns}
    if not given or not len(next(iter(given.values()))):
        raise SourceError("load_images: a frame must have one row per image. Got none. Add rows.")
    names, assumptions = named_columns("load_images: the frame", given)
    columns = {name: given[own] for own, name in names.items()}
    images = columns["path"]
    root = Path.cwd() if options.root is None else options.root
    return Listing(
        kind=f"data frame of {type(thing).__module__.split('.')[0]}",
        names=texts(_names(images)),
        content=list_items(
            "",
            len(images),
            lambda row: _image(images[row], root, options.byte_limit),
            options,
            name="row",
            names=_names(images),
            check_twice=False,
        ).content,
        labels=_column(columns, "label"),
        splits=_parts(columns),
        groups=_column(columns, "group"),
        group_column=next((own for own, name in names.items() if name == "group"), "group"),
        masks=_masks(columns, root),
        own={
            name: texts("" if cell is None else str(cell) for cell in cells)
            for name, cells in columns.items()
            if name not in COLUMNS and not any(isinstance(cell, (bytes, dict)) for cell in cells)
        },
        assumptions=assumptions,
    )


def _cells(column: Any) -> list[Any]:
    """Python values; NaN, NaT and NA, which differ from themselves or compare to nothing, as None.

    A whole float is how pandas writes a number beside missing ones.
    """
    cells = column.to_list()
    return [
        None
        if cell is None or type(cell).__name__ in {"NAType", "NaTType"} or _is_nan(cell)
        else cell
        for cell in cells
    ]


def _is_nan(cell: Any) -> bool:
    return isinstance(cell, float) and cell != cell  # noqa: PLR0124  NaN alone


def _names(images: list[Any]) -> list[str]:
    return [
        str(cell) if isinstance(cell, (str, os.PathLike)) else f"row[{row}]"
        for row, cell in enumerate(images)
    ]


def _image(cell: Any, root: Path, limit: int) -> Any:
    if isinstance(cell, Mapping):
        cell = cell["path"] if cell.get("bytes") is None else cell["bytes"]
    if cell is None:
        raise ImageError("the row names no image")
    return read_bytes(root / cell, limit) if isinstance(cell, (str, os.PathLike)) else cell


def _column(columns: Mapping[str, list[Any]], name: str) -> Any:
    cells = columns.get(name)
    if cells is None:
        return None
    if name == "group":
        return shared(None if cell is None else str(cell) for cell in cells)
    return [None if cell == "" else cell for cell in cells]


def _masks(columns: Mapping[str, list[Any]], root: Path) -> list[MaskFiles | None] | None:
    cells = columns.get("mask")
    return None if cells is None else [root / cell if cell else None for cell in cells]


def _parts(columns: Mapping[str, list[Any]]) -> list[str] | None:
    cells = columns.get("split")
    if cells is None or not any(cells):
        return None
    wrong = sorted({str(cell) for cell in cells if str(cell).lower() not in PART_FOLDERS})
    if wrong:
        raise SourceError(
            "load_images: the frame's column split: must be train, calibration or test in every"
            f" row. Got {few(wrong)}. Rename or fill in those cells."
        )
    return [PART_FOLDERS[str(cell).lower()] for cell in cells]
