"""What runs in each worker: the bundle, loaded once, and the same scoring of a piece as on one
machine.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from residua.cluster.images import Judge
from residua.cluster.tally import Tally, sketch_of, tally_of
from residua.images.shards import Shard
from residua.runs.open_run import open_run
from residua.runs.run_folder import Run
from residua.runs.tables.chunk_files import encode, note_of
from residua.runs.tables.chunks import ScoringTask, score_shard

ModelFiles = dict[str, bytes]
"""The files of a run's model by their place in the run."""


@dataclass(frozen=True)
class Asked:
    """What an evaluation asks of workers, beside scores.

    ``pixel_threshold`` marks pixels; ``most_exact`` is how many pixels of a piece stay as they are,
    0 where the source has no masks.
    """

    normal: tuple[str, ...] | None
    sketched: bool = False
    pixel_threshold: float | None = None
    most_exact: int = 0


class Scorer:
    """Scores pieces with a model that came over the wire: workers share no disk for it."""

    def __init__(self, files: ModelFiles, task: ScoringTask) -> None:
        self.task = task
        with tempfile.TemporaryDirectory(prefix="residua-") as place:
            for name, data in files.items():
                path = Path(place) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            self.engine = open_run(place).scorer()


class TableWorker(Scorer):
    """Pieces to parts of an output file: tables, and the notes that make them count."""

    def __init__(self, files: ModelFiles, task: ScoringTask, suffix: str) -> None:
        super().__init__(files, task)
        self.suffix = suffix

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A row for each part."""
        for number, seen, n_parts, piece in zip(
            batch["number"], batch["seen"], batch["n_parts"], batch["piece"], strict=True
        ):
            for further, part in enumerate(
                score_shard(self.engine, self.task, piece, start=int(seen))
            ):
                yield {
                    "number": np.array([int(number)]),
                    "part": np.array([int(n_parts) + further]),
                    "table": [encode(part, self.suffix, raw_cells=self.task.raw_cells)],
                    "note": [json.dumps(note_of(part))],
                }


class JudgedWorker(Scorer):
    """Pieces to what an evaluation needs: all that was seen, or a sketch and the counts."""

    def __init__(self, files: ModelFiles, task: ScoringTask, asked: Asked) -> None:
        super().__init__(files, task)
        self.asked = asked

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A row for each part."""
        for number, piece in zip(batch["number"], batch["piece"], strict=True):
            for index, tally in enumerate(self._tallies(piece)):
                yield {
                    "number": np.array([int(number)]),
                    "part": np.array([index]),
                    "tally": [tally.to_bytes()],
                }

    def _tallies(self, piece: Shard) -> Iterator[Tally]:
        asked, threshold = self.asked, self.task.threshold
        if asked.sketched:
            for part in score_shard(self.engine, self.task, piece):
                yield sketch_of(part, asked.normal, threshold)
            return
        judge = Judge(self.engine, self.task, asked.normal, asked.pixel_threshold, asked.most_exact)
        for looked in judge.look(piece):
            yield tally_of(looked, asked.normal, threshold)


def read_model_files(folder: Run) -> ModelFiles:
    """The files that a worker needs to score, as they are sent: bundle or wrapped model."""
    paths = folder.model_files()
    return {path.relative_to(folder.path).as_posix(): path.read_bytes() for path in paths}
