"""Scores on their way to a file.

Chunks lie beside it as they come, each whole or absent, joined at the end.

``scores.parquet`` is in the making while the folder ``.scores.parquet.part`` stands beside it. A
chunk is the table of up to 4,096 images, then a note of how far it reaches: the note makes it
count. So a run that is killed loses at most one chunk, and the finished file is the same, byte for
byte, whether it was written at once, in several goes, or by several machines.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from residua._files import atomic_write, ensure_folder, one_writer, read_json, write_json
from residua._text import cell, printable
from residua.errors import InputError, MissingExtraError, OutputError
from residua.images.listing import Quarantined
from residua.images.shards import Block, Shards
from residua.records import Finding
from residua.runs.tables.chunks import Chunk, ScoringTask

_JOURNAL = "journal.json"
_KEPT_REASONS = 1000  # files that are named with their reason; the others are counted
_Count = Annotated[int, Field(ge=0)]


@dataclass
class ScoreSummary:
    """What scoring came to.

    Images with a row, those above the threshold, files that could not be read (1,000 of them
    named).
    """

    n_images: int = 0
    n_anomalous: int = 0
    n_quarantined: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)
    drift: Finding | None = None
    has_threshold: bool = True

    def add(self, note: dict[str, Any]) -> None:
        """Count a chunk by its note."""
        self.n_images += note["rows"]
        self.n_anomalous += note["anomalous"]
        self.n_quarantined += len(note["quarantined"])
        self._name(note["quarantined"])

    def add_listed(self, quarantined: Sequence[Quarantined]) -> None:
        """Count what was kept out while listing."""
        self.n_quarantined += len(quarantined)
        self._name(quarantined)

    def _name(self, quarantined: Sequence[Sequence[str]]) -> None:
        room = _KEPT_REASONS - len(self.quarantined)
        self.quarantined += [Quarantined(path, reason) for path, reason in quarantined[:room]]


class _Note(BaseModel):
    """What a note must say to count.

    One that was damaged says nothing, and its chunk is scored again.
    """

    seen: _Count
    rows: _Count
    anomalous: _Count
    quarantined: list[tuple[str, str]]
    last: bool


class ChunkFiles:
    """The chunks of one output file."""

    def __init__(self, out: Path) -> None:
        if out.suffix not in {".csv", ".parquet"}:
            raise InputError(
                f"score: --out must end in .csv or .parquet. Got {out.name!r}. Name such a file."
            )
        if out.suffix == ".parquet":
            try:
                import pyarrow  # noqa: F401  asked before the work begins
            except ModuleNotFoundError:
                raise MissingExtraError("pyarrow", "tables", "score --out *.parquet") from None
        ensure_folder(out.parent, where="score")
        self.out = out
        self.folder = out.with_name(f".{out.name}.part")

    @contextlib.contextmanager
    def only_writer(self) -> Iterator[None]:
        """Keep a second writer of the same file out."""
        lock = self.out.with_name(f".{self.out.name}.lock")
        with one_writer(
            lock,
            f"{self.out}: only one process may write a file. Another one does now. Wait for it.",
        ):
            try:
                yield
            finally:
                # while it is ours: filelock refuses a lock that lies under no name any more
                lock.unlink(missing_ok=True)

    def begin(self, journal: dict[str, Any], *, resume: bool) -> None:
        """Begin, or go on with what lies there.

        Never throw work away unasked, never mix it with other work.
        """
        there = _read_json(self.folder / _JOURNAL)
        if there is not None and any(one.name != _JOURNAL for one in self.folder.glob("*.json")):
            if not resume:
                raise OutputError(
                    f"{self.out}: the scores must not be half written yet. Some of them lie in"
                    f" {self.folder}. Pass --resume to go on, or delete that folder to begin again."
                )
            changed = sorted(name for name in journal if there.get(name) != journal[name])
            if changed:
                raise InputError(
                    f"{self.out}: scoring must be resumed with what it was begun with. Got another"
                    f" {', '.join(changed)}. Repeat the first command with --resume, or delete"
                    f" {self.folder} to begin again."
                )
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        ensure_folder(self.folder, where="score")
        write_json(self.folder / _JOURNAL, journal)

    def state_of(self, shard: int) -> tuple[int, int, bool]:
        """How many images of a shard are scored, in how many chunks, and whether that is all."""
        seen, n_chunks = 0, 0
        while (note := self._note(shard, n_chunks)) is not None:
            seen, n_chunks = seen + note["seen"], n_chunks + 1
            if note["last"]:
                return seen, n_chunks, True
        return seen, n_chunks, False

    def write(self, shard: int, number: int, table: bytes, note: dict[str, Any]) -> None:
        """Keep a chunk."""
        with atomic_write(self._table(shard, number)) as file:
            file.write(table)
        write_json(self._note_path(shard, number), note)

    def summary(self, n_shards: int) -> ScoreSummary:
        """What all chunks together come to."""
        summary = ScoreSummary()
        for note, _ in self._chunks(n_shards):
            summary.add(note)
        return summary

    def finish(self, n_shards: int, task: ScoringTask) -> None:
        """Join all chunks into the file, atomically, and clear up."""
        tables = [table for note, table in self._chunks(n_shards) if note["rows"]]
        with atomic_write(self.out) as file:
            (_join_csv if self.out.suffix == ".csv" else _join_parquet)(tables, task, file)
        self.discard()

    def discard(self) -> None:
        """Forget what is half written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _chunks(self, n_shards: int) -> Iterator[tuple[dict[str, Any], Path]]:
        for shard in range(n_shards):
            number = 0
            while (note := self._note(shard, number)) is not None:
                yield note, self._table(shard, number)
                number += 1

    def _table(self, shard: int, number: int) -> Path:
        return self.folder / f"{shard:07d}-{number:06d}{self.out.suffix}"

    def _note_path(self, shard: int, number: int) -> Path:
        return self.folder / f"{shard:07d}-{number:06d}.json"

    def _note(self, shard: int, number: int) -> dict[str, Any] | None:
        value = _read_json(self._note_path(shard, number))
        try:
            return None if value is None else _Note.model_validate(value).model_dump()
        except ValidationError:
            return None


def note_of(chunk: Chunk) -> dict[str, Any]:
    """How far a chunk reaches and what it counts."""
    return {
        "seen": chunk.n_seen,
        "rows": chunk.n_rows,
        "anomalous": chunk.n_anomalous,
        "quarantined": [list(one) for one in chunk.quarantined],
        "last": chunk.is_last,
    }


def encode(chunk: Chunk, suffix: str, *, raw_cells: bool = False) -> bytes:
    """A chunk as a table, CSV rows without a header or Parquet.

    Texts in CSV are safe for spreadsheets (`residua._text.cell`) unless `raw_cells`; Parquet holds
    them as they are.
    """
    if suffix == ".csv":
        text = io.StringIO(newline="")
        csv.writer(text).writerows(
            zip(*(_texts(column, raw=raw_cells) for column in chunk.columns.values()), strict=True)
        )
        return text.getvalue().encode()
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(_arrow(chunk.columns), sink)
    return bytes(sink.getvalue())


def describe_shards(shards: Shards) -> dict[str, Any]:
    """What must be the same when scoring goes on.

    The kind of source, the number of shards, the names of images or shards.
    """
    names = hashlib.blake2b(digest_size=16)
    for shard in shards.pieces:
        for name in shard.rows.names if isinstance(shard, Block) else [shard.name]:
            names.update(str(name).encode("utf-8", "surrogatepass") + b"\n")
    return {"kind": shards.kind, "pieces": len(shards.pieces), "names": names.hexdigest()}


def _arrow(columns: dict[str, Any]) -> Any:
    import pyarrow as pa

    labels = columns["label"]
    are_numbers = any(label is not None for label in labels) and all(
        label is None or isinstance(label, int) for label in labels
    )
    types = {
        "path": pa.string(),
        "split": pa.string(),
        "predicted": pa.string(),
        "threshold": pa.float64(),
        "anomalous": pa.bool_(),
        "label": pa.int64() if are_numbers else pa.string(),
    }
    if not are_numbers:
        columns = {**columns, "label": [None if label is None else str(label) for label in labels]}
    by_default = {
        name: pa.string() if isinstance(column, list) else pa.float32()
        for name, column in columns.items()
    }
    return pa.table(
        {name: pa.array(column, {**by_default, **types}[name]) for name, column in columns.items()}
    )


def _texts(column: Any, *, raw: bool = True) -> list[str]:
    """Numbers in the shortest form that reads back as the same float32; booleans as true and false.

    None as nothing.
    """
    shown = [
        "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        for value in column
    ]
    return shown if raw else [cell(printable(text)) for text in shown]


def _join_csv(tables: list[Path], task: ScoringTask, file: Any) -> None:
    header = io.StringIO(newline="")
    csv.writer(header).writerow(cell(printable(name)) for name in task.columns)
    file.write(header.getvalue().encode())
    for table in tables:
        file.write(table.read_bytes())


def _join_parquet(tables: list[Path], task: ScoringTask, file: Any) -> None:
    """One row group per chunk; labels are texts where not all are whole numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schemas = [pq.read_schema(table) for table in tables] or [_arrow(task.no_rows()).schema]
    schema = (
        schemas[0]
        if len({str(schema.field("label").type) for schema in schemas}) == 1
        else schemas[0].set(1, pa.field("label", pa.string()))
    )
    with pq.ParquetWriter(file, schema) as writer:
        for table in tables:
            writer.write_table(pq.read_table(table).cast(schema))


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        value = read_json(path)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
