"""One source on its way to one table.

Begun or gone on with, done here or by workers, joined at the end.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._files import read_lines
from residua._version import __version__
from residua.engines import Engine
from residua.errors import SourceError
from residua.images.listing import Progress
from residua.images.loading import nothing_readable
from residua.images.shards import Shards
from residua.runs.tables.chunk_files import (
    ChunkFiles,
    ScoreSummary,
    describe_shards,
    encode,
    note_of,
)
from residua.runs.tables.chunks import Chunk, ScoringTask, score_shard

_SAMPLED = 100_000  # scores

Workers = Callable[["ScoringJob"], None]
"""Scores all shards of a job that are not done, by whatever means."""


@dataclass(frozen=True)
class ScoringJob:
    """All that scoring a source takes; what is done of it lies in `parts`."""

    engine: Engine
    shards: Shards
    task: ScoringTask
    parts: ChunkFiles
    on_read: Progress | None = None
    on_note: Callable[[str], None] = lambda _: None

    def open_shards(self) -> Iterator[tuple[int, int, int]]:
        """Number, images done and chunks done of each shard that is not finished."""
        for number in range(len(self.shards.pieces)):
            seen, n_chunks, done = self.parts.state_of(number)
            if not done:
                yield number, seen, n_chunks

    def tell(self, n_done: int, n_shards_done: int) -> None:
        """Progress; the number of images is an estimate where shards have not been opened yet."""
        if self.on_read is not None:
            n_shards = len(self.shards.pieces)
            self.on_read(
                n_done,
                max(
                    self.shards.n_images or round(n_done * n_shards / max(1, n_shards_done)),
                    n_done + (n_shards_done < n_shards),
                ),
            )


def do_job(
    job: ScoringJob,
    source: str,
    begun_with: dict[str, Any],
    *,
    resume: bool = False,
    workers: Workers | None = None,
) -> ScoreSummary:
    """Score what is left of a job, and join the chunks into the file.

    In this process, unless there are `workers`.

    `begun_with` is what must be the same where scoring goes on: the model, its threshold.

    Raises OutputError if another process writes the same file, or it is half written and `resume`
    is not said. Raises SourceError if not one image of `source` can be read.
    """
    with job.parts.only_writer():
        parts, task = job.parts, job.task
        journal = {
            "source": source,
            **begun_with,
            **describe_shards(job.shards),
            "version": __version__,
            "reading": task.options.reading.model_dump(mode="json"),
        }
        earlier = parts.begin(journal, task, resume=resume, tell=job.on_note)
        (workers or _score_here)(replace(job, task=replace(task, earlier=earlier)))
        n_shards = len(job.shards.pieces)
        if job.shards.quarantined:
            listed = task.unread(job.shards.quarantined)
            n_shards += 1
            parts.write(n_shards - 1, 0, _table(listed, job), note_of(listed))
        summary = parts.summary(n_shards)
        summary.has_threshold = task.threshold is not None or task.products is not None
        if not summary.n_images:
            parts.discard()
            refused = summary.quarantined
            raise SourceError(nothing_readable(source, refused, summary.n_quarantined))
        summary.decision = parts.decide(n_shards, task)
        if summary.decision is not None:
            summary.n_anomalous, summary.has_threshold = summary.decision.n_flagged, True
        digests = parts.finish(n_shards, task, journal, summary.decision)
        summary.n_gone = 0 if earlier is None else earlier.n_missing_from(digests)
        return summary


def read_scores(out: Path) -> NDArray[np.float32]:
    """The scores of a file just written, in the order of its rows; those without one left out."""
    if out.suffix == ".parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(out, columns=["score"])
        return np.asarray(table["score"].drop_null(), np.float32)
    return np.array(list(_csv_scores(out)), np.float32)


def sample_scores(out: Path, n_images: int) -> NDArray[np.float32]:
    """Scores of a file just written: up to 100,000, evenly spread, to bound memory."""
    step = max(1, -(-n_images // _SAMPLED))
    if out.suffix == ".csv":
        return np.array(list(islice(_csv_scores(out), 0, None, step)), np.float32)
    import pyarrow.parquet as pq

    found, start = [], 0
    with pq.ParquetFile(out) as table:
        for group in range(table.num_row_groups):
            column = table.read_row_group(group, columns=["score"])["score"]
            scores = np.asarray(column.drop_null(), np.float32)
            found.append(scores[-start % step :: step])
            start += len(scores)
    return np.concatenate(found)


def _csv_scores(out: Path) -> Iterator[str]:
    return (row["score"] for row in csv.DictReader(read_lines(out)) if row["score"])


def _table(chunk: Chunk, job: ScoringJob) -> bytes:
    return encode(chunk, job.parts.out.suffix, raw_cells=job.task.raw_cells)


def _score_here(job: ScoringJob) -> None:
    n_done = 0
    for number, seen, n_chunks in job.open_shards():
        n_done += seen
        for further, chunk in enumerate(
            score_shard(job.engine, job.task, job.shards.pieces[number], start=seen)
        ):
            job.parts.write(
                number,
                n_chunks + further,
                _table(chunk, job),
                note_of(chunk),
            )
            n_done += chunk.n_seen
            job.tell(n_done, number + chunk.is_last)
