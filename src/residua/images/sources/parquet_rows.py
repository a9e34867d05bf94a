"""The rows of one Parquet file, which is opened when needed; its images are read by row group."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._labels import group_name
from residua.errors import ImageError, MissingExtraError, SourceError
from residua.images.sources.walking import shown
from residua.images.stores import LocalFolder, Store

_MOST_OPEN = 16  # files
_MOST_GROUPS = 2  # row groups that are kept of each file
# What a file may unpack to: a few kilobytes of it can stand for any number of rows and any size of
# cells.
_MOST_ROWS = 5_000_000
# Bytes of one row group's images, of a column of labels or names.
_MOST_IMAGES, _MOST_TEXTS = (1 << 30, 256 << 20)
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Rows:
    """The images of one Parquet file, which is opened when needed, and again after a while."""

    store: Store
    file: str
    byte_limit: int
    rows: NDArray[np.int64] | None = None
    _cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "store": self.store,
            "file": self.file,
            "byte_limit": self.byte_limit,
            "rows": self.rows,
            "_cache": {},
        }

    def __len__(self) -> int:
        if self.rows is not None:
            return len(self.rows)
        return int(self._ends[-1]) if len(self._ends) else 0

    def part(self, rows: NDArray[np.int64]) -> Rows:
        """These rows alone."""
        return replace(self, rows=rows if self.rows is None else self.rows[rows], _cache={})

    def read(self, index: int) -> bytes:
        """The encoded bytes in one row."""
        index = index if self.rows is None else int(self.rows[index])
        group = int(np.searchsorted(self._ends, index, "right"))
        cell = self._group(group)[index - (int(self._ends[group - 1]) if group else 0)]
        data = cell["bytes"] if self._image[1] and cell.is_valid else cell
        if not data.is_valid:
            raise ImageError("the row holds no bytes (a path alone is not followed)")
        buffer = data.as_buffer()
        if buffer.size > self.byte_limit:
            raise ImageError(
                f"the cell holds {buffer.size:,} bytes, more than the {self.byte_limit:,} that its"
                " pixels could need"
            )
        return bytes(buffer)

    def column(self, name: str) -> list[Any] | None:
        """A column of numbers or texts as Python values, or None if there is none of that name."""
        if name not in self._schema.names:
            return None
        try:
            cells = self._unpacked(name, range(len(self._ends)), _MOST_TEXTS)
        except self._faults as error:
            raise self._unreadable(error) from error
        return [value for batch in cells for value in batch.to_pylist()]

    def texts(self, name: str) -> list[str] | None:
        """A column as texts, empty where a cell is; whole numbers without the point.

        None where it is not there, or holds anything but one value an image.
        """
        values = None if name == self._image[0] else self.column(name)
        if values is None or any(isinstance(value, (list, dict, bytes)) for value in values):
            return None
        return [group_name(value) or "" for value in values]

    def labels(self) -> list[Any]:
        """The labels, class names where the file has them, None where there is none."""
        name = next((name for name in ("label", "labels") if name in self._schema.names), None)
        if name is None:
            return [None] * len(self)
        classes = self._class_names(name)
        values = self.column(name) or []
        if any(isinstance(value, (list, dict)) for value in values):
            raise SourceError(
                f"{self.file}: {name} must be one value an image. Got lists. Choose one label an"
                " image."
            )
        if not classes:
            return values
        # Hugging Face writes -1 where a test set has no labels.
        return [
            classes[value] if isinstance(value, int) and 0 <= value < len(classes) else None
            for value in values
        ]

    def names(self) -> list[str]:
        """A name per row: the file's, the row's number, and the image's own where there is one."""
        import pyarrow as pa

        stem = shown(Path(self.file).name)
        plain = [f"{stem}[{index}]" for index in range(len(self))]
        name, is_struct = self._image
        kind = self._schema.field(name).type
        if (
            not is_struct
            or kind.get_field_index("path") < 0
            or not pa.types.is_string(kind.field("path").type)
        ):
            return plain
        try:
            batches = self._unpacked(f"{name}.path", range(len(self._ends)), _MOST_TEXTS)
        except self._faults:
            return plain
        cells = [cell for batch in batches for cell in batch.field("path").to_pylist()]
        if len(cells) != len(plain):
            raise self._unreadable(ValueError(f"{len(plain)} rows and {len(cells)} paths"))
        return [f"{name}/{cell}" if cell else name for name, cell in zip(plain, cells, strict=True)]

    def _group(self, group: int) -> Any:
        with _recent.lock:  # a ParquetFile is not to be used by two threads at once
            groups: OrderedDict[int, Any] = self._cache.setdefault("groups", OrderedDict())
            if group not in groups:
                groups[group] = self._read_group(group)
            groups.move_to_end(group)
            while len(groups) > _MOST_GROUPS:
                groups.popitem(last=False)
            if isinstance(groups[group], ImageError):
                raise ImageError(str(groups[group]))
            return groups[group]

    def _read_group(self, group: int) -> Any:
        """A row group's images, or why they cannot be had: asked once for all rows of it."""
        try:
            return _pyarrow(self.file).chunked_array(
                self._unpacked(self._image[0], [group], _MOST_IMAGES)
            )
        except self._faults as error:
            return ImageError(f"its row group cannot be read: {error}")

    def _unpacked(self, column: str, groups: Sequence[int], most: int) -> list[Any]:
        """Some groups of a column as arrays.

        `ImageError` where they unpack to more than `most` bytes.

        So few rows at once that even a cell as large as its whole chunk, repeated, stays within
        `most`.
        """
        file = _recent.opened(self)
        declared = max(
            (_declared(file.metadata.row_group(group), column) for group in groups), default=0
        )
        if declared > most:
            raise ImageError(f"{column} unpacks to {declared:,} bytes, more than {most:,}")
        rows = max(1, min(_ROWS_AT_ONCE, most // max(1, declared)))
        found, n_bytes = [], 0
        for batch in file.iter_batches(batch_size=rows, row_groups=list(groups), columns=[column]):
            n_bytes += batch.nbytes
            if n_bytes > most:
                raise ImageError(f"{column} unpacks to more than {most:,} bytes")
            found.append(batch.column(0))
        return found

    @cached_property
    def _faults(self) -> tuple[type[Exception], ...]:
        pa = _pyarrow(self.file)
        return (
            pa.ArrowException,
            ImageError,
            OSError,
            ValueError,
            KeyError,
            TypeError,
            MemoryError,
        )

    @cached_property
    def _schema(self) -> Any:
        return self._facts[0]

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return self._facts[1]

    @cached_property
    def _facts(self) -> tuple[Any, NDArray[np.int64]]:
        try:
            file = _recent.opened(self)
            counts = [
                file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)
            ]
            if sum(counts) > _MOST_ROWS:
                raise SourceError(
                    f"{self.file}: a Parquet file may hold {_MOST_ROWS:,} rows. Got"
                    f" {sum(counts):,}. Divide it into several."
                )
            return file.schema_arrow, np.cumsum(counts, dtype=np.int64)
        except self._faults as error:
            if isinstance(error, SourceError):
                raise
            raise self._unreadable(error) from error

    @cached_property
    def _image(self) -> tuple[str, bool]:
        """The column of images, and whether it is a struct of bytes and path."""
        import pyarrow as pa

        structs, plain = [], []
        for one in self._schema:
            if pa.types.is_struct(one.type) and one.type.get_field_index("bytes") >= 0:
                structs.append(one.name)
            elif pa.types.is_binary(one.type) or pa.types.is_large_binary(one.type):
                plain.append(one.name)
        candidates = structs + plain
        if not candidates:
            raise SourceError(
                f"{self.file}: must hold a column of encoded images (bytes, or a struct of bytes"
                f" and path). Got the columns {', '.join(self._schema.names) or 'none'}. Write the"
                " images as PNG or JPEG bytes."
            )
        chosen = next((name for name in ("image", "img") if name in candidates), candidates[0])
        return chosen, chosen in structs

    def _class_names(self, column: str) -> list[str]:
        try:
            described = json.loads((self._schema.metadata or {}).get(b"huggingface", b"{}"))
            names = described["info"]["features"][column]["names"]
        except (ValueError, KeyError, TypeError):
            return []
        return [str(name) for name in names] if isinstance(names, list) else []

    def _unreadable(self, error: Exception) -> SourceError:
        return SourceError(
            f"{self.file}: a Parquet file must be whole. Got: {error}. Fetch or write it again."
        )


class _RecentlyUsed:
    """The few Parquet files open at a time: a folder may hold more than can be."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._open: OrderedDict[int, Rows] = OrderedDict()

    def opened(self, rows: Rows) -> Any:
        with self.lock:
            if "file" not in rows._cache:
                import pyarrow.parquet as pq

                # Local files by path, which pyarrow opens and closes itself.
                store = rows.store
                where = (
                    store.root / rows.file
                    if isinstance(store, LocalFolder)
                    else store.open(rows.file)
                )
                rows._cache["file"] = pq.ParquetFile(where)
            self._open[id(rows)] = rows
            self._open.move_to_end(id(rows))
            while len(self._open) > _MOST_OPEN:
                _, oldest = self._open.popitem(last=False)
                oldest._cache.clear()
            return rows._cache["file"]


_recent = _RecentlyUsed()


def _pyarrow(file: str) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "tables", f"Reading {file}") from error
    return pa


def _declared(group: Any, column: str) -> int:
    """The unpacked size of a column of a row group, as the file states it."""
    return sum(
        chunk.total_uncompressed_size
        for chunk in map(group.column, range(group.num_columns))
        if chunk.path_in_schema == column or chunk.path_in_schema.startswith(f"{column}.")
    )
