"""What an evaluation keeps of the images it has let go, and what a sketch can say of them."""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings import (
    find_broken_promise,
    find_not_better_than_chance,
    find_undefined_metric,
    find_unlabelled,
)
from residua.images import Quarantined
from residua.metrics.intervals import rate_interval
from residua.metrics.sketch import Bounds, ScoreSketch
from residua.records import Estimate, Evaluation, OperatingPoint
from residua.runs.tables.chunks import Chunk
from residua.thresholds import is_flagged

UNKNOWN = -1
_CONFIDENCE = 0.95
_Z = 1.959963984540054


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
    scores = np.asarray(part.scored("score"), np.float32)
    truth = np.array([_truth(label, normal) for label in part.scored("label")], np.int8)
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
        tally.scores, tally.truth, tally.paths = scores, truth, part.scored("path")
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


def evaluate_sketched(
    tally: Tally, point: OperatingPoint | None, split: str, provenance: dict[str, Any]
) -> Evaluation:
    """What `evaluate_detection` says, as far as a summary of bounded size can say it.

    The value of a ranking metric is the middle of its bounds. Its interval is conservative: it lies
    around both bounds, and takes for ROC AUC the largest variance that there can be, AUC (1 - AUC)
    / min(n normal, n anomalous) (Birnbaum and Klose, 1957), for average precision that of a rate
    over the anomalous images (Boyd, Eng and Page, 2013).
    """
    sketch = tally.sketch or ScoreSketch()
    correct, alarms, misses, hits = map(int, tally.confusion)
    n_normal, n_anomalous = correct + alarms, misses + hits
    bounds = {
        "roc_auc": sketch.roc_auc_bounds(),
        "average_precision": sketch.average_precision_bounds(),
    }
    fewest = {"roc_auc": min(n_normal, n_anomalous), "average_precision": n_anomalous}
    metrics = {name: _within(bounds[name], fewest[name], n_normal + n_anomalous) for name in bounds}
    if point is not None:
        metrics |= {
            "precision": _rate(hits, hits + alarms),
            "recall": _rate(hits, n_anomalous),
            "accuracy": _rate(correct + hits, n_normal + n_anomalous),
            "false_alarm_rate": _rate(alarms, n_normal),
            "flagged_rate": _rate(tally.n_flagged, tally.n_images),
        }
    findings = [
        find_unlabelled(tally.n_images - n_normal - n_anomalous, tally.n_images),
        find_not_better_than_chance(
            metrics["roc_auc"], prevalence=n_anomalous / max(1, n_normal + n_anomalous)
        ),
        find_undefined_metric(
            [name for name, one in metrics.items() if one.value is None],
            f"There are {n_normal:,} normal and {n_anomalous:,} anomalous labelled images.",
            "Add labelled images of the other kind.",
            n_normal=n_normal,
            n_anomalous=n_anomalous,
        ),
    ]
    if point is not None:
        findings.append(find_broken_promise(point, metrics))
    told = {
        name: None if math.isnan(one.low) else {"low": one.low, "high": one.high}
        for name, one in bounds.items()
    }
    return Evaluation(
        job="detect",
        n_images=tally.n_images,
        split=split,
        metrics=metrics,
        operating_point=point,
        findings=tuple(finding for finding in findings if finding is not None),
        provenance={**provenance, "guaranteed_bounds": told, "sketch_is_exact": sketch.is_exact},
    )


def _within(bounds: Bounds, n_fewest: int, n: int) -> Estimate:
    if math.isnan(bounds.low):
        return Estimate(value=None, confidence=_CONFIDENCE, n=n)
    low, high = (
        end + sign * _Z * math.sqrt(end * (1 - end) / n_fewest)
        for end, sign in ((bounds.low, -1.0), (bounds.high, 1.0))
    )
    return Estimate(
        value=(bounds.low + bounds.high) / 2,
        low=max(0.0, low),
        high=min(1.0, high),
        confidence=_CONFIDENCE,
        n=n,
    )


def _rate(n_successes: int, n: int) -> Estimate:
    return (
        Estimate(value=None, confidence=_CONFIDENCE)
        if n == 0
        else rate_interval(n_successes, n, confidence=_CONFIDENCE)
    )
