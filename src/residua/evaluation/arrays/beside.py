"""A column by its name alone, in one of the tables that are given already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from residua._tables import read_cells, read_parquet
from residua.errors import SourceError
from residua.evaluation.arrays.reading import LIMIT_MEGABYTES

_READ = {".csv", ".tsv", ".txt", ".parquet"}


def beside(named: Any, given: Sequence[Any]) -> Any:
    """``FILE:COLUMN`` where `named` is no file but a column of a `given` table; else as it is."""
    if not isinstance(named, str) or Path(named).suffix.lower() or Path(named).exists():
        return named
    for source in given:
        if isinstance(source, str | Path) and (path := _table(source)) and named in _header(path):
            return f"{path}:{named}"
    return named


def _table(source: str | Path) -> Path | None:
    """The file of a table; of ``FILE:COLUMN`` too."""
    for path in (Path(source), Path(str(source).rpartition(":")[0])):
        if path.suffix.lower() in _READ and path.is_file():
            return path
    return None


def _header(path: Path) -> list[str]:
    try:
        cells = (
            read_parquet(path, most_megabytes=LIMIT_MEGABYTES)
            if path.suffix.lower() == ".parquet"
            else read_cells(path)
        )
    except SourceError:
        return []  # whoever reads its values says what is wrong with it
    return [cell.strip() for cell in cells.rows[0]] if cells.rows else []
