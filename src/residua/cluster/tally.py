"""What an evaluation keeps of the images it has let go, and what a sketch can say of them."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.cluster.images import Looked
from residua.evaluation.verdict import with_verdict
from residua.findings import (
    find_broken_promise,
    find_not_better_than_chance,
    find_undefined_metric,
    find_unlabelled,
)
from residua.images import Quarantined
from residua.images.hashing import PIXELS
from residua.metrics import PixelTally
from residua.metrics.intervals import rate_interval
from residua.metrics.reported import estimates_of
from residua.metrics.samples import ScoredImages
from residua.metrics.sketch import Bounds, ScoreSketch
from residua.records import Estimate, Evaluation, OperatingPoint
from residua.runs.tables.chunks import Chunk
from residua.thresholds import is_flagged

UNKNOWN = -1
ALARMS = "false_alarm_rate_at_90_recall"
_MOST_NAMED = 100  # files of a part that could not be read
_MOST_AT_ONCE = 10_000_000  # decisions that are laid out for an interval
_CONFIDENCE = 0.95
_Z = 1.959963984540054


@dataclass
class Tally:
    """Of labelled images ``[true negatives, false alarms, misses, hits]``, of all ``n_flagged``;
    a sketch of the scores, or everything that was seen of each image: scores, ``truth`` (-1 where
    it is not known), names, hashes of pixels, groups, ``columns`` of numbers, pixels beside masks.
    """

    confusion: NDArray[np.int64] = field(default_factory=lambda: np.zeros(4, np.int64))
    n_images: int = 0
    n_flagged: int = 0
    n_quarantined: int = 0
    n_unreadable: int = 0
    is_test: bool = False
    quarantined: list[Quarantined] = field(default_factory=list)
    scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    truth: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    paths: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    hashes: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, PIXELS), np.uint8))
    groups: list[str | None] = field(default_factory=list)
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    pixels: PixelTally | None = None
    mask_conventions: list[str] = field(default_factory=list)
    sketch: ScoreSketch | None = None

    def to_bytes(self) -> bytes:
        """Plain data: a npz without objects."""
        data = io.BytesIO()
        facts = {name: getattr(self, name) for name in _PLAIN} | {
            "quarantined": [list(one) for one in self.quarantined]
        }
        sketch = b"" if self.sketch is None else self.sketch.to_bytes()
        pixels = b"" if self.pixels is None else self.pixels.to_bytes()
        arrays: dict[str, Any] = {
            "confusion": self.confusion,
            "scores": self.scores,
            "truth": self.truth,
            "hashes": self.hashes,
            "sketch": np.frombuffer(sketch, np.uint8),
            "pixels": np.frombuffer(pixels, np.uint8),
            "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8),
            **{f"column/{name}": column for name, column in self.columns.items()},
        }
        np.savez(data, **arrays)
        return data.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Tally:
        """Read what `to_bytes` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            facts = json.loads(archive["facts"].tobytes())
            sketch, pixels = archive["sketch"].tobytes(), archive["pixels"].tobytes()
            return cls(
                **{name: facts[name] for name in _PLAIN},
                quarantined=[Quarantined(path, reason) for path, reason in facts["quarantined"]],
                **{name: archive[name] for name in ("confusion", "scores", "truth", "hashes")},
                columns={
                    name.removeprefix("column/"): archive[name]
                    for name in archive.files
                    if name.startswith("column/")
                },
                sketch=ScoreSketch.from_bytes(sketch) if sketch else None,
                pixels=PixelTally.from_bytes(pixels) if pixels else None,
            )


_PLAIN = (
    *("n_images", "n_flagged", "n_quarantined", "n_unreadable", "is_test"),
    *("paths", "labels", "groups", "mask_conventions"),
)


def tally_of(looked: Looked, normal: tuple[str, ...] | None, threshold: float | None) -> Tally:
    """Everything that was seen of some images."""
    tally = _counted(looked.scores, looked.labels, normal, threshold)
    tally.n_quarantined = len(looked.quarantined)
    tally.n_unreadable = sum(not one.is_mask for one in looked.quarantined)
    tally.quarantined = list(looked.quarantined[:_MOST_NAMED])
    tally.is_test = "test" in looked.splits
    tally.scores, tally.paths, tally.hashes = looked.scores, looked.names, looked.hashes
    tally.truth = _truths(looked.labels, normal)
    tally.labels = [None if label is None else str(label) for label in looked.labels]
    tally.groups, tally.columns, tally.pixels = looked.groups, looked.columns, looked.pixels
    tally.mask_conventions = [looked.mask_convention] if looked.mask_convention else []
    return tally


def sketch_of(part: Chunk, normal: tuple[str, ...] | None, threshold: float | None) -> Tally:
    """What is kept of a part where what is kept is bounded."""
    scores = np.asarray(part.scored("score"), np.float32)
    truth = _truths(part.scored("label"), normal)
    tally = _counted(scores, part.scored("label"), normal, threshold)
    tally.n_quarantined = len(part.quarantined)
    tally.n_unreadable = sum(not one.is_mask for one in part.quarantined)
    tally.quarantined = list(part.quarantined[:_MOST_NAMED])
    tally.is_test = "test" in part.columns["split"]
    tally.sketch = ScoreSketch()
    known = truth != UNKNOWN
    if known.any():
        tally.sketch.update(truth[known], scores[known])
    return tally


def merged(tallies: dict[tuple[int, int], Tally]) -> Tally:
    """All parts together, in the order of the source."""
    whole = Tally()
    ordered = [tallies[key] for key in sorted(tallies)]
    for tally in ordered:
        if tally.pixels is not None:
            level = tally.pixels.pixel_threshold
            whole.pixels = whole.pixels or PixelTally(pixel_threshold=level)
            whole.pixels.merge(tally.pixels, first_row=whole.n_images)
        whole.confusion = whole.confusion + tally.confusion
        whole.n_images += tally.n_images
        whole.n_flagged += tally.n_flagged
        whole.is_test = whole.is_test or tally.is_test
        whole.n_quarantined += tally.n_quarantined
        whole.n_unreadable += tally.n_unreadable
        whole.quarantined += tally.quarantined[: max(0, 1000 - len(whole.quarantined))]
        whole.paths += tally.paths
        whole.labels += tally.labels
        whole.groups += tally.groups
        whole.mask_conventions += tally.mask_conventions
        if tally.sketch is not None:
            whole.sketch = (
                tally.sketch if whole.sketch is None else whole.sketch.merge(tally.sketch)
            )
    for name in ("scores", "truth", "hashes"):
        setattr(whole, name, np.concatenate([getattr(one, name) for one in (whole, *ordered)]))
    full = [one for one in ordered if one.n_images]
    shared = set.intersection(*(set(one.columns) for one in full)) if full else set()
    names = [name for name in full[0].columns if name in shared] if full else []
    whole.columns = {name: np.concatenate([one.columns[name] for one in full]) for name in names}
    return whole


def _counted(
    scores: NDArray[np.float32],
    labels: Sequence[Any],
    normal: tuple[str, ...] | None,
    threshold: float | None,
) -> Tally:
    truth = _truths(labels, normal)
    flagged = (
        np.zeros(len(scores), np.bool_) if threshold is None else is_flagged(scores, threshold)
    )
    known = truth != UNKNOWN
    return Tally(
        confusion=np.bincount(2 * truth[known].astype(np.int64) + flagged[known], minlength=4),
        n_images=len(scores),
        n_flagged=int(flagged.sum()),
    )


def _truths(labels: Sequence[Any], normal: tuple[str, ...] | None) -> NDArray[np.int8]:
    return np.array([_truth(label, normal) for label in labels], np.int8)


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
    metrics[ALARMS] = sketch.false_alarms_at_recall(confidence=_CONFIDENCE)
    if point is not None:
        metrics |= {
            "precision": _rate(hits, hits + alarms),
            "recall": _rate(hits, n_anomalous),
            **_of_decisions(tally.confusion),
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
    evaluation = Evaluation(
        job="detect",
        n_images=tally.n_images,
        split=split,
        metrics=metrics,
        operating_point=point,
        findings=tuple(finding for finding in findings if finding is not None),
        provenance={**provenance, "guaranteed_bounds": told, "sketch_is_exact": sketch.is_exact},
    )
    return with_verdict(evaluation)


def _of_decisions(confusion: NDArray[np.int64]) -> dict[str, Estimate]:
    """F1 and balanced accuracy, of the counts that one machine has too."""
    n = int(confusion.sum())
    if n > _MOST_AT_ONCE:
        return {}
    anomalous = np.repeat([False, False, True, True], confusion)
    flagged = np.repeat([False, True, False, True], confusion)
    sample = ScoredImages(
        _CONFIDENCE, 0, is_anomalous=anomalous, scores=flagged.astype(np.float32), flagged=flagged
    )
    found = estimates_of(sample)
    return {name: found[name] for name in ("f1", "balanced_accuracy") if name in found}


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
