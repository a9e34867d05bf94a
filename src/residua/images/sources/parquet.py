"""Parquet with encoded images, as Hugging Face's datasets writes it.

A column ``image`` of bytes, and a label.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from residua._text import count
from residua.errors import SourceError
from residua.images.columns import shared, texts
from residua.images.listing import PARTS, Listing, Options
from residua.images.shards import Shards, join_shards
from residua.images.sources.parquet_rows import Rows
from residua.images.sources.shard_files import FileShard, file_shards, shards_in

KIND = "Parquet"
SUFFIXES = frozenset({".parquet", ".pq"})


def recognises(path: Path) -> bool:
    """A ``.parquet`` file, or a folder that holds some (directly or in ``data/``)."""
    return bool(files_in(path))


def read(path: Path, options: Options) -> Listing:
    """All rows of all files, images read as used; ``train-*`` and ``test-*`` are parts."""
    return join_shards(KIND, shards(path, options).pieces, options)


def shards(path: Path, options: Options) -> Shards:
    """Each file is a shard."""
    return shards_in(path, files_in(path), shards_of)


class ParquetShard(FileShard):
    """One Parquet file: its small columns are read at once, its images a row group at a time."""

    def listing(self, options: Options) -> Listing:
        """The rows."""
        table = Rows(self.store, self.file, options.byte_limit)
        labels, groups, splits = table.labels(), table.column("group"), table.column("split")
        n_validation = len(table) if Path(self.file).name.lower().startswith("val") else 0
        parts = [self.part] * len(table) if self.part is not None else None
        named = {options.group_column, options.product_column} - {None, "group", "label", "split"}
        own = {name: table.texts(str(name)) for name in sorted(map(str, named))}
        return Listing(
            kind=KIND,
            names=texts(table.names()),
            content=table,
            labels=shared(labels) if any(label is not None for label in labels) else None,
            splits=(
                shared(_known_part(cell, self.name) for cell in splits)
                if splits is not None
                else parts
            ),
            groups=(
                shared(None if group is None else str(group) for group in groups)
                if groups and any(groups)
                else None
            ),
            own={name: texts(column) for name, column in own.items() if column is not None},
            notes=(
                [f"{count(n_validation, 'validation image')} joined train"]
                if n_validation and parts is not None
                else []
            ),
        )


def files_in(path: Path) -> list[Path]:
    """The shards in a folder, or the one that `path` is; none where it is something else."""
    if path.is_file():
        return [path] if path.suffix.lower() in SUFFIXES else []
    if not path.is_dir():
        return []
    return sorted(path.glob("*.parquet")) or sorted(path.glob("data/*.parquet"))


def _known_part(cell: Any, file: str) -> str:
    part = str(cell).lower()
    if part not in PARTS:
        raise SourceError(
            f"{file}: split must be train, calibration or test. Got {cell!r}. Rename that part."
        )
    return part


shards_of = partial(file_shards, KIND, ParquetShard)
