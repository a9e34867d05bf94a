"""Parquet with encoded images, as Hugging Face's datasets writes it: a column ``image`` of bytes, and a label."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from residua.errors import ImageError, MissingExtraError, SourceError
from residua.images.listing import PARTS, Listing, Options, count
from residua.images.sources.walking import shown

_PARTS = {"train": "train", "validation": "train", "valid": "train", "val": "train", "calibration": "calibration", "test": "test"}


def recognises(path: Path) -> bool:
    """A ``.parquet`` file, or a folder that holds some (directly or in ``data/``)."""
    return bool(_files(path))


def read(path: Path, options: Options) -> Listing:
    """All rows of all files; ``train-*.parquet`` and ``test-*.parquet`` are parts. Images are read as they are used."""
    tables = [_Table(file, options) for file in _files(path)]
    parts = [_part(table.path) for table in tables]
    in_column = [table.column("split") for table in tables]
    if all(column is not None for column in in_column):
        splits = [_known_part(cell, path) for column in in_column if column is not None for cell in column]
    elif all(part is not None for part in parts) and path.is_dir():
        splits = [part for table, part in zip(tables, parts, strict=True) if part is not None for _ in range(len(table))]
    else:
        splits = []
    labels = [label for table in tables for label in table.labels]
    groups = [group for table in tables for group in table.column("group") or [None] * len(table)]
    n_validation = sum(len(table) for table in tables if table.path.name.lower().startswith("val"))
    return Listing(
        kind="Parquet",
        names=[name for table in tables for name in table.names],
        content=_Joined(tables),
        labels=labels if any(label is not None for label in labels) else None,
        splits=splits or None,
        groups=[None if group is None else str(group) for group in groups] if any(groups) else None,
        notes=[f"{count(n_validation, 'validation image')} joined train"] if n_validation and splits else [],
    )


class _Table:
    """One Parquet file: its small columns read at once, its images a row group at a time."""

    def __init__(self, path: Path, options: Options) -> None:
        self.path = path
        self._limit = options.byte_limit
        self._lock = threading.Lock()
        self._groups: OrderedDict[int, list[Any]] = OrderedDict()
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingExtraError("pyarrow", "tables", f"Reading {path}") from error
        self._faults: tuple[type[Exception], ...] = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError)
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
            self._schema = self._file.schema_arrow
            counts = [self._file.metadata.row_group(group).num_rows for group in range(self._file.num_row_groups)]
        except self._faults as error:
            raise self._unreadable(error) from error
        self._places = [(group, row) for group, n in enumerate(counts) for row in range(n)]
        self._image = self._image_column(pa)
        self.labels = self._labels()
        self.names = self._names(pa)

    def __len__(self) -> int:
        return len(self._places)

    def column(self, name: str) -> list[Any] | None:
        """A column of numbers or texts as Python values, or None if there is none of that name."""
        if name not in self._schema.names:
            return None
        try:
            return list(self._file.read(columns=[name]).column(0).to_pylist())
        except self._faults as error:
            raise self._unreadable(error) from error

    def read(self, index: int) -> bytes:
        """The encoded bytes in one row."""
        group, row = self._places[index]
        with self._lock:  # a ParquetFile is not to be used by two threads at once
            cells = self._groups.get(group) or self._read_group(group)
        data = cells[row]
        if data is None:
            raise ImageError("the row holds no bytes (a path alone is not followed)")
        if data.size > self._limit:
            raise ImageError(f"the cell holds {data.size:,} bytes, more than the {self._limit:,} that its pixels could need")
        return bytes(data)

    def _read_group(self, group: int) -> list[Any]:
        try:
            column = self._file.read_row_group(group, columns=[self._image[0]]).column(0)
            cells = [cell["bytes"] if self._image[1] else cell for cell in column]
        except self._faults as error:
            raise ImageError(f"its row group cannot be read: {error}") from error
        self._groups[group] = [cell.as_buffer() if cell.is_valid else None for cell in cells]
        while len(self._groups) > 2:
            self._groups.popitem(last=False)
        return self._groups[group]

    def _image_column(self, pa: Any) -> tuple[str, bool]:
        """The column of images, and whether it is a struct of bytes and path."""
        structs, plain = [], []
        for field in self._schema:
            if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
                structs.append(field.name)
            elif pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
                plain.append(field.name)
        candidates = structs + plain
        if not candidates:
            raise SourceError(
                f"{self.path}: must hold a column of encoded images (bytes, or a struct of bytes and path). "
                f"Got the columns {', '.join(self._schema.names) or 'none'}. Write the images as PNG or JPEG bytes."
            )
        chosen = next((name for name in ("image", "img") if name in candidates), candidates[0])
        return chosen, chosen in structs

    def _labels(self) -> list[Any]:
        name = next((name for name in ("label", "labels") if name in self._schema.names), None)
        if name is None:
            return [None] * len(self)
        classes = self._class_names(name)
        values = self.column(name) or []
        if any(isinstance(value, (list, dict)) for value in values):
            raise SourceError(f"{self.path}: {name} must be one value an image. Got lists. Choose one label an image.")
        if not classes:
            return values
        # Hugging Face writes -1 where a test set has no labels.
        return [classes[value] if isinstance(value, int) and 0 <= value < len(classes) else None for value in values]

    def _class_names(self, column: str) -> list[str]:
        try:
            described = json.loads((self._schema.metadata or {}).get(b"huggingface", b"{}"))
            names = described["info"]["features"][column]["names"]
        except (ValueError, KeyError, TypeError):
            return []
        return [str(name) for name in names] if isinstance(names, list) else []

    def _names(self, pa: Any) -> list[str]:
        stem = shown(self.path.name)
        plain = [f"{stem}[{index}]" for index in range(len(self))]
        name, is_struct = self._image
        kind = self._schema.field(name).type
        if not is_struct or kind.get_field_index("path") < 0 or not pa.types.is_string(kind.field("path").type):
            return plain
        try:
            cells = self._file.read(columns=[f"{name}.path"]).column(0).combine_chunks().field("path").to_pylist()
        except self._faults:
            return plain
        if len(cells) != len(plain):
            raise self._unreadable(ValueError(f"{len(plain)} rows and {len(cells)} paths"))
        return [f"{name}/{cell}" if cell else name for name, cell in zip(plain, cells, strict=True)]

    def _unreadable(self, error: Exception) -> SourceError:
        return SourceError(f"{self.path}: a Parquet file must be whole. Got: {error}. Fetch or write it again.")


@dataclass(frozen=True)
class _Joined:
    """The rows of several tables, one after the other."""

    tables: Sequence[_Table]

    def __len__(self) -> int:
        return sum(len(table) for table in self.tables)

    def read(self, index: int) -> bytes:
        for table in self.tables:
            if index < len(table):
                return table.read(index)
            index -= len(table)
        raise IndexError(index)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() in {".parquet", ".pq"} else []
    if not path.is_dir():
        return []
    return sorted(path.glob("*.parquet")) or sorted(path.glob("data/*.parquet"))


def _part(path: Path) -> str | None:
    stem = path.stem.lower().replace("_", "-").split("-")[0]
    return _PARTS.get(stem)


def _known_part(cell: Any, path: Path) -> str:
    part = str(cell).lower()
    if part not in PARTS:
        raise SourceError(f"{path}: split must be train, calibration or test. Got {cell!r}. Rename that part.")
    return part
