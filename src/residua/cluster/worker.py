"""What runs in each worker: the bundle, loaded once, and the same scoring of a piece as on one
machine.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from residua.runs.tables.chunk_files import encode, note_of
from residua.runs.tables.chunks import ScoringTask, score_shard

BundleFiles = dict[str, bytes]


class Scorer:
    """Scores pieces with a bundle that came over the wire, so that workers need no disk in common
    for it.
    """

    def __init__(self, bundle: BundleFiles, task: ScoringTask) -> None:
        import torch

        from residua.training.bundle import load_bundle
        from residua.training.scoring.engine import GraphEngine

        torch.set_num_threads(1)  # a worker has one processor
        with tempfile.TemporaryDirectory(prefix="residua-") as folder:
            for name, data in bundle.items():
                (Path(folder) / name).write_bytes(data)
            loaded = load_bundle(folder)
        self.task = task
        self.engine = GraphEngine(loaded.graph, loaded.config.channels, loaded.config.batch_size)


class TableWorker(Scorer):
    """Pieces to parts of an output file: tables, and the notes that make them count."""

    def __init__(self, bundle: BundleFiles, task: ScoringTask, suffix: str) -> None:
        super().__init__(bundle, task)
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
    """Pieces to what an evaluation needs: exact scores, or a sketch of them and the counts at the
    threshold.
    """

    def __init__(
        self, bundle: BundleFiles, task: ScoringTask, normal: tuple[str, ...] | None, sketched: bool
    ) -> None:
        super().__init__(bundle, task)
        self.normal, self.sketched = normal, sketched

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A row for each part."""
        from residua.cluster.tally import tally_of

        for number, piece in zip(batch["number"], batch["piece"], strict=True):
            for index, part in enumerate(score_shard(self.engine, self.task, piece)):
                tally = tally_of(part, self.normal, self.task.threshold, sketched=self.sketched)
                yield {
                    "number": np.array([int(number)]),
                    "part": np.array([index]),
                    "tally": [tally.to_bytes()],
                }


def read_bundle(folder: Path) -> BundleFiles:
    """The files of a bundle, as they are sent."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
