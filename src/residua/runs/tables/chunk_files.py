"""Scores on their way to a file.

Chunks lie beside it as they come, each whole or absent, joined at the end.

``scores.parquet`` is in the making while the folder ``.scores.parquet.part`` stands beside it. A
chunk is the table of up to 4,096 images, then a note of how far it reaches: the note makes it
count. So a run that is killed loses at most one chunk, and the finished file is the same, byte for
byte, whether it was written at once, in several goes, or by several machines.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import dataclasses
import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError, model_validator

from residua._files import atomic_write, ensure_folder, one_writer, read_json, write_json
from residua._text import cell, printable
from residua.errors import InputError, MissingExtraError, OutputError
from residua.findings import find_products_not_judged, find_unreadable_files
from residua.images.listing import Quarantined
from residua.images.shards import Block, Shards
from residua.records import Finding
from residua.runs.tables.chunks import P_VALUE, PRODUCT, Chunk, ScoringTask
from residua.runs.tables.earlier import DIGEST, EarlierScores, Memory, read_earlier, rows_of
from residua.thresholds.false_discoveries import BatchDecision

_JOURNAL, _EARLIER = "journal.json", "earlier.npz"
_MADE_BY = ("model", "engine", "bits", "source", "policy", "product")  # another one is refused
_SCORES_FOLLOW = ("version", "reading")  # another one gives other scores, of the same command
_KEPT_REASONS = 1000  # files that are named with their reason; the others are counted
_Count = Annotated[int, Field(ge=0)]
Tell = Callable[[str], None]


def _silent(_: str) -> None:
    """Tell nobody."""


@dataclass
class ScoreSummary:
    """What scoring came to.

    ``n_images`` have a score and ``n_anomalous`` lie above the threshold. ``n_unreadable`` images
    could not be read: they have a row with the reason. ``n_quarantined`` counts them, and masks;
    ``quarantined`` names 1,000 of those. ``n_reused`` images kept the score that they had in the
    file before, and ``n_gone`` of its images are not in the source any more, or have changed.
    ``decision`` is what a policy for batches decided about all of them. ``undecided`` counts those
    whose product has no threshold, by the reason.
    """

    n_images: int = 0
    n_anomalous: int = 0
    n_quarantined: int = 0
    n_unreadable: int = 0
    n_reused: int = 0
    n_gone: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)
    drift: Finding | None = None
    has_threshold: bool = True
    decision: BatchDecision | None = None
    undecided: Counter[str] = field(default_factory=Counter)

    def add(self, note: dict[str, Any]) -> None:
        """Count a chunk by its note."""
        self.n_images += note["scored"]
        self.n_anomalous += note["anomalous"]
        self.n_unreadable += note["rows"] - note["scored"]
        self.n_reused += note["reused"]
        self.undecided.update(note["undecided"])
        self.n_quarantined += len(note["quarantined"])
        room = _KEPT_REASONS - len(self.quarantined)
        self.quarantined += [Quarantined(*one) for one in note["quarantined"][:room]]

    @property
    def unreadable(self) -> list[Quarantined]:
        """Images that could not be read, 1,000 at most, without masks."""
        return [one for one in self.quarantined if not one.is_mask]

    @property
    def findings(self) -> list[Finding]:
        """What is wrong: images that could not be read, scores that drift."""
        unread = find_unreadable_files(
            self.unreadable, self.n_images, n_unreadable=self.n_unreadable, judged=True
        )
        left = find_products_not_judged(self.undecided, (), self.n_images)
        return [one for one in (unread, left, self.drift) if one is not None]


class _Note(BaseModel):
    """What a note must say to count; the chunk of a damaged one is scored again."""

    seen: _Count
    rows: _Count
    scored: _Count
    reused: _Count
    anomalous: _Count
    digests: str
    quarantined: list[tuple[str, str]]
    undecided: dict[str, _Count] = {}
    last: bool

    @model_validator(mode="after")
    def _fits(self) -> _Note:
        n_bytes = len(base64.b64decode(self.digests, validate=True))
        if self.scored > self.rows or n_bytes != DIGEST * self.rows:
            raise ValueError("counts that do not fit together")
        return self


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
        self.memory = Memory(out.with_name(f".{out.name}.resume"), out)

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

    def begin(
        self, journal: dict[str, Any], task: ScoringTask, *, resume: bool, tell: Tell = _silent
    ) -> EarlierScores | None:
        """Begin, or go on with what lies there; the scores that need not be computed again.

        Never throw work away unasked, never mix it with other work.
        """
        there = _read_json(self.folder / _JOURNAL)
        is_half = there is not None and any(
            one.name != _JOURNAL for one in self.folder.glob("*.json")
        )
        if there is not None and is_half:
            if not resume:
                raise OutputError(
                    f"{self.out}: the scores must not be half written yet. Some of them lie in"
                    f" {self.folder}. Pass --resume to go on, or delete that folder to begin again."
                )
            self._check_same(journal, there, f"delete {self.folder} to begin again")
            if not _differing(there, journal):
                return EarlierScores.load(self.folder / _EARLIER)
            earlier = self._of_half_written(there, journal, task, tell)
        else:
            earlier = self._of_finished(journal, task, tell) if resume else None
        shutil.rmtree(self.folder, ignore_errors=True)
        ensure_folder(self.folder, where="score")
        if earlier is not None:
            earlier.save(self.folder / _EARLIER)
        write_json(self.folder / _JOURNAL, journal)
        return earlier

    def _check_same(self, journal: dict[str, Any], there: dict[str, Any], or_else: str) -> None:
        changed = [name for name in _differing(there, journal) if name in _MADE_BY]
        if changed:
            raise InputError(
                f"{self.out}: scoring must be resumed with what it was begun with. Got another"
                f" {', '.join(changed)}. Repeat the first command with --resume, or {or_else}."
            )

    def _of_half_written(
        self, there: dict[str, Any], journal: dict[str, Any], task: ScoringTask, tell: Tell
    ) -> EarlierScores | None:
        """The scores of chunks that were cut from another list of images."""
        if not _is_of_use(there, journal, tell):
            return None
        notes = list(self._chunks(int(there["pieces"]) + 1))
        found = read_earlier(
            (table for note, table in notes if note["rows"]),
            self.out.suffix,
            b"".join(base64.b64decode(note["digests"]) for note, _ in notes),
            task.columns,
            task.numbers,
            has_header=False,
        )
        before = EarlierScores.load(self.folder / _EARLIER)
        if found is None or before is None:
            return before if found is None else found
        return before.joined(found)

    def _of_finished(
        self, journal: dict[str, Any], task: ScoringTask, tell: Tell
    ) -> EarlierScores | None:
        """The scores of the file that is there."""
        if not self.out.exists():
            return None
        there = self.memory.made_by()
        if there is None:
            tell(
                f"{self.out} was changed since it was written, or nothing tells what it was made"
                " from: all images are scored again"
            )
            return None
        self._check_same(journal, there, "leave --resume out to score all images again")
        if not _is_of_use(there, journal, tell):
            return None
        return self.memory.scores(task.columns, task.numbers)

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

    def decide(self, n_shards: int, task: ScoringTask) -> BatchDecision | None:
        """What a policy for batches decides about the images of all chunks; None without one."""
        if task.policy is None:
            return None
        assert task.reference is not None
        place = task.columns.index(P_VALUE)
        cells = (
            row[place]
            for note, table in self._chunks(n_shards)
            if note["rows"]
            for row in rows_of(table, self.out.suffix, has_header=False)
        )
        found = np.fromiter((np.nan if cell in ("", None) else cell for cell in cells), np.float64)
        return task.policy.decide(task.reference, found)

    def finish(
        self,
        n_shards: int,
        task: ScoringTask,
        journal: dict[str, Any],
        decision: BatchDecision | None = None,
    ) -> bytes:
        """Join all chunks into the file, atomically, and clear up; the hashes of its images."""
        chunks = [one for one in self._chunks(n_shards) if one[0]["rows"]]
        digests = b"".join(base64.b64decode(note["digests"]) for note, _ in chunks)
        with atomic_write(self.out) as file:
            join = _join_csv if self.out.suffix == ".csv" else _join_parquet
            join([table for _, table in chunks], task, file, decision)
        self.memory.write(journal, digests)
        self.discard()
        return digests

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
        "scored": chunk.n_scored,
        "reused": chunk.n_reused,
        "anomalous": chunk.n_anomalous,
        "digests": base64.b64encode(chunk.digests).decode(),
        "quarantined": [list(one) for one in chunk.quarantined],
        "undecided": chunk.undecided,
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
            zip(
                *(
                    _texts(_with_gaps(column, chunk), raw=raw_cells)
                    for column in chunk.columns.values()
                ),
                strict=True,
            )
        )
        return text.getvalue().encode()
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    columns = {name: _with_gaps(column, chunk) for name, column in chunk.columns.items()}
    pq.write_table(_arrow(columns, chunk.columns), sink)
    return bytes(sink.getvalue())


def describe_shards(shards: Shards) -> dict[str, Any]:
    """What must be the same when scoring goes on: kind, number and names of shards."""
    names = hashlib.blake2b(digest_size=16)
    for shard in shards.pieces:
        for name in shard.rows.names if isinstance(shard, Block) else [shard.name]:
            names.update(str(name).encode("utf-8", "surrogatepass") + b"\n")
    return {"kind": shards.kind, "pieces": len(shards.pieces), "names": names.hexdigest()}


def _with_gaps(column: Any, chunk: Chunk) -> Any:
    """A column with None where there is no score, which is no number."""
    if not isinstance(column, np.ndarray) or chunk.is_scored.all():
        return column
    cells = zip(column, chunk.is_scored.tolist(), strict=True)
    return [value if is_scored else None for value, is_scored in cells]


def _differing(there: dict[str, Any], journal: dict[str, Any]) -> list[str]:
    return sorted(name for name in {*there, *journal} if there.get(name) != journal.get(name))


def _is_of_use(there: dict[str, Any], journal: dict[str, Any], tell: Tell) -> bool:
    """Whether the scores of an earlier go are those that would be computed now."""
    differing = [name for name in _differing(there, journal) if name in _SCORES_FOLLOW]
    if differing:
        what = {"version": "another version of residua", "reading": "another reading of values"}
        tell(f"{' and '.join(what[name] for name in differing)}: all images are scored again")
    return not differing


def _arrow(columns: dict[str, Any], typed: dict[str, Any]) -> Any:
    """A table of `columns`; those that are arrays in `typed` are numbers."""
    import pyarrow as pa

    labels = columns["label"]
    are_numbers = any(label is not None for label in labels) and all(
        label is None or isinstance(label, int) for label in labels
    )
    types = {
        "path": pa.string(),
        "split": pa.string(),
        "predicted": pa.string(),
        "kind": pa.string(),
        "unreadable": pa.string(),
        "threshold": pa.float64(),
        P_VALUE: pa.float64(),
        "anomalous": pa.bool_(),
        "label": pa.int64() if are_numbers else pa.string(),
    }
    if not are_numbers:
        columns = {**columns, "label": [None if label is None else str(label) for label in labels]}
    by_default = {
        name: pa.string() if isinstance(column, list) else pa.float32()
        for name, column in typed.items()
    }
    return pa.table(
        {name: pa.array(column, {**by_default, **types}[name]) for name, column in columns.items()}
    )


def _texts(column: Any, *, raw: bool = True) -> list[str]:
    """Numbers in the shortest form that reads back as this float32; None is empty."""
    shown = [
        "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        for value in column
    ]
    return shown if raw else [cell(printable(text)) for text in shown]


def _join_csv(
    tables: list[Path], task: ScoringTask, file: Any, decision: BatchDecision | None
) -> None:
    header = io.StringIO(newline="")
    csv.writer(header).writerow(cell(printable(name)) for name in task.columns)
    file.write(header.getvalue().encode())
    score, threshold, flag = map(task.columns.index, ("score", "threshold", "anomalous"))
    product = 0 if task.products is None else task.columns.index(PRODUCT)
    for table in tables:
        if decision is None:
            file.write(table.read_bytes())
            continue
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        for read in rows_of(table, ".csv", has_header=False):
            row = list(read)
            level = task.level_of(decision, row[product] or None if product else None)
            if row[score] and level is not None:
                row[threshold] = _texts([_finite(level)])[0]
                row[flag] = str(bool(np.float32(row[score]) > level)).lower()
            writer.writerow(row)
        file.write(text.getvalue().encode())


def _join_parquet(
    tables: list[Path], task: ScoringTask, file: Any, decision: BatchDecision | None
) -> None:
    """One row group per chunk; labels are texts where not all are whole numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    nothing = task.no_scores()
    schemas = [pq.read_schema(table) for table in tables] or [_arrow(nothing, nothing).schema]
    schema = (
        schemas[0]
        if len({str(schema.field("label").type) for schema in schemas}) == 1
        else schemas[0].set(1, pa.field("label", pa.string()))
    )
    told = None if decision is None else {"residua": json.dumps(dataclasses.asdict(decision))}
    with pq.ParquetWriter(file, schema.with_metadata(told)) as writer:
        for table in tables:
            read = pq.read_table(table).cast(schema)
            writer.write_table(read if decision is None else _decided(read, task, decision))


def _decided(table: Any, task: ScoringTask, decision: BatchDecision) -> Any:
    """A table with the threshold and the decisions of its batch."""
    scores, columns = table["score"].to_pylist(), {name: table[name] for name in table.schema.names}
    shown = [None] * len(scores) if task.products is None else table[PRODUCT].to_pylist()
    pairs = list(zip(scores, shown, strict=True))
    levels = [None if one is None else task.level_of(decision, name) for one, name in pairs]
    columns["threshold"] = list(map(_finite, levels))
    both = zip(scores, levels, strict=True)
    columns["anomalous"] = [None if level is None else one > level for one, level in both]
    import pyarrow as pa

    return pa.table(columns, schema=table.schema)


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        value = read_json(path)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
