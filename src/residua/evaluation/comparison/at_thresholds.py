"""What two detectors find on the same images, each at its own threshold, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._text import count
from residua.evaluation import Evidence
from residua.evaluation.comparison.measures import Images
from residua.evaluation.paired import paired_shares
from residua.records import Evaluation


@dataclass(frozen=True)
class Contestant:
    """A model under a name of its own: its evaluation and the arrays behind it."""

    name: str
    evaluation: Evaluation
    evidence: Evidence


def at_thresholds(
    models: Sequence[Contestant],
    rows: Sequence[NDArray[np.int64]],
    images: Images,
    confidence: float,
) -> tuple[str, ...]:
    """Defects found and false alarms of two detectors, with paired intervals; nothing where a
    threshold is missing.

    ``rows`` are those of the shared images in the evidence of each, whose truth `images` know.
    """
    flags: list[NDArray[Any]] = []
    for model, own in zip(models, rows, strict=True):
        point, scores = model.evaluation.operating_point, model.evidence.scores
        if point is not None and scores is not None:
            flags.append(np.asarray(scores)[own] > point.threshold)
    is_bad = images.flags
    if is_bad is None or len(flags) != 2 or len(models) != 2:
        return ()
    said = []
    named = (("Defects found", is_bad, "defect"), ("False alarms", ~is_bad, "good image"))
    for title, chosen, what in named:
        if not chosen.any():
            continue
        first, second = (one[chosen] for one in flags)
        groups = None if images.groups is None else images.groups.of(chosen)
        change = paired_shares(second, first, confidence=confidence, groups=groups).difference
        told = ""
        if change.value is not None and change.low is not None and change.high is not None:
            ends = f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
            told = f" (change to the second {ends}"
            told += "; no change can be shown)" if change.low <= 0 <= change.high else ")"
        said.append(
            f"{title}, each at its threshold: {models[0].name} {int(first.sum()):,},"
            f" {models[1].name} {int(second.sum()):,} of {count(len(first), what)}{told}."
        )
    return tuple(said)
