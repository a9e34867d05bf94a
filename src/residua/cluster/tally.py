"""What an evaluation keeps of the images it has let go: counts at the threshold, and their scores
exactly or as a sketch.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.images import Quarantined
from residua.metrics.sketch import ScoreSketch
from residua.runs.tables.chunks import Chunk
from residua.thresholds import is_flagged

UNKNOWN = -1


@dataclass
class Tally:
    """Of labelled images ``[true negatives, false alarms, misses, hits]``, of all ``n_flagged``;
    scores or a sketch of them.
    """

    confusion: NDArray[np.int64] = field(default_factory=lambda: np.zeros(4, np.int64))
    n_images: int = 0
    n_flagged: int = 0
    n_quarantined: int = 0
    is_test: bool = False
    quarantined: list[Quarantined] = field(default_factory=list)
    scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    truth: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    paths: list[str] = field(default_factory=list)
    sketch: ScoreSketch | None = None

    def to_bytes(self) -> bytes:
        """Plain data: a npz without objects."""
        data = io.BytesIO()
        facts = {
            "n_images": self.n_images,
            "n_flagged": self.n_flagged,
            "n_quarantined": self.n_quarantined,
            "is_test": self.is_test,
            "quarantined": [list(one) for one in self.quarantined],
            "paths": self.paths,
        }
        sketch = b"" if self.sketch is None else self.sketch.to_bytes()
        np.savez(
            data,
            confusion=self.confusion,
            scores=self.scores,
            truth=self.truth,
            sketch=np.frombuffer(sketch, np.uint8),
            facts=np.frombuffer(json.dumps(facts).encode(), np.uint8),
        )
        return data.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Tally:
        """Read what `to_bytes` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            facts = json.loads(archive["facts"].tobytes())
            sketch = archive["sketch"].tobytes()
            return cls(
                confusion=archive["confusion"],
                n_images=facts["n_images"],
                n_flagged=facts["n_flagged"],
                n_quarantined=facts["n_quarantined"],
                is_test=facts["is_test"],
                quarantined=[Quarantined(path, reason) for path, reason in facts["quarantined"]],
                scores=archive["scores"],
                truth=archive["truth"],
                paths=facts["paths"],
                sketch=ScoreSketch.from_bytes(sketch) if sketch else None,
            )


def tally_of(
    part: Chunk, normal: tuple[str, ...] | None, threshold: float | None, *, sketched: bool
) -> Tally:
    """What is kept of a part: everything, or what is bounded."""
    scores = np.asarray(part.columns["score"], np.float32)
    truth = np.array([_truth(label, normal) for label in part.columns["label"]], np.int8)
    flagged = (
        np.zeros(len(scores), np.bool_) if threshold is None else is_flagged(scores, threshold)
    )
    known = truth != UNKNOWN
    tally = Tally(
        confusion=np.bincount(2 * truth[known].astype(np.int64) + flagged[known], minlength=4),
        n_images=len(scores),
        n_flagged=int(flagged.sum()),
        n_quarantined=len(part.quarantined),
        is_test="test" in part.columns["split"],
        quarantined=list(part.quarantined[:100]),
    )
    if not sketched:
        tally.scores, tally.truth, tally.paths = scores, truth, part.columns["path"]
        return tally
    tally.sketch = ScoreSketch()
    if known.any():
        tally.sketch.update(truth[known], scores[known])
    return tally


def merged(tallies: dict[tuple[int, int], Tally]) -> Tally:
    """All parts together, in the order of the source."""
    whole = Tally()
    ordered = [tallies[key] for key in sorted(tallies)]
    for tally in ordered:
        whole.confusion = whole.confusion + tally.confusion
        whole.n_images += tally.n_images
        whole.n_flagged += tally.n_flagged
        whole.is_test = whole.is_test or tally.is_test
        whole.n_quarantined += tally.n_quarantined
        whole.quarantined += tally.quarantined[: max(0, 1000 - len(whole.quarantined))]
        whole.paths += tally.paths
        if tally.sketch is not None:
            whole.sketch = (
                tally.sketch if whole.sketch is None else whole.sketch.merge(tally.sketch)
            )
    whole.scores = np.concatenate([np.zeros(0, np.float32), *(tally.scores for tally in ordered)])
    whole.truth = np.concatenate([np.zeros(0, np.int8), *(tally.truth for tally in ordered)])
    return whole


def _truth(label: Any, normal: tuple[str, ...] | None) -> int:
    """0 normal, 1 anomalous, -1 not known."""
    return UNKNOWN if label is None or normal is None else int(str(label) not in normal)
