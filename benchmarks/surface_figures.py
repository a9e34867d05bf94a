"""Figures of a detector of defects: ROC AUC with its interval, how well maps show where, what each
part of a score adds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from measure import rounded
from residua.images import ImageSet
from residua.metrics import aupro, pixel_roc_auc, roc_auc
from residua.training.bundle import Bundle
from residua.training.scoring.places import tamed

RESAMPLES = 1000


def with_interval(
    test: ImageSet, scores: NDArray[Any], is_found: NDArray[np.bool_]
) -> list[float | None]:
    """ROC AUC of the found against the normal images, and its 95% interval by drawing groups, or
    images, with replacement.
    """
    asked = is_found | ~test.is_anomalous
    labels, values = is_found[asked], scores[asked]
    groups = test.paths if test.groups is None else test.groups
    names, unit = np.unique(groups[asked].astype(str), return_inverse=True)
    members = [np.flatnonzero(unit == group) for group in range(len(names))]
    rng, drawn = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        rows = np.concatenate([members[group] for group in rng.integers(0, len(names), len(names))])
        if 0 < labels[rows].sum() < len(rows):
            drawn.append(roc_auc(labels[rows], values[rows]))
    return [
        rounded(float(value), 4)
        for value in (roc_auc(labels, values), *np.quantile(drawn, [0.025, 0.975]))
    ]


def judge_maps(test: ImageSet, maps: list[NDArray[np.float32]]) -> dict[str, Any]:
    """Pooled over all images, and the mean over the defective ones; empty masks have none."""
    masks = [test.masks[row] for row in range(len(test))]
    shown = [
        (mask, one)
        for mask, one in zip(masks, maps, strict=True)
        if mask is not None and mask.any()
    ]
    alone = [roc_auc(mask.ravel(), one.ravel()) for mask, one in shown]
    judged = {
        "pixel_roc_auc": pixel_roc_auc(masks, maps),
        "pixel_roc_auc_within_images": np.mean(alone),
        "aupro": aupro(masks, maps),
    }
    return {name: rounded(float(value), 4) for name, value in judged.items()}


@contextmanager
def noting_parts(bundle: Bundle) -> Iterator[list[torch.Tensor]]:
    """Collects what each part adds to the score of each image while they are scored."""
    scorer: Any = bundle.graph.scorer
    noted: list[torch.Tensor] = []
    if not hasattr(scorer, "parts"):
        yield noted
        return
    measure = scorer._image_scores

    def note(*arguments: torch.Tensor) -> torch.Tensor:
        measured = measure(*arguments)
        noted.append(weights(scorer) * tamed((measured - scorer.image_mean) / scorer.image_spread))
        return measured

    scorer._image_scores = note
    try:
        yield noted
    finally:
        del scorer._image_scores


def weights(scorer: Any) -> torch.Tensor:
    """Of the parts: of `feature` all weigh the same."""
    return scorer.weight if hasattr(scorer, "weight") else torch.ones(len(scorer.parts))


def each_part(
    bundle: Bundle, test: ImageSet, noted: list[torch.Tensor], whole_score: NDArray[Any]
) -> dict[str, Any]:
    """What each part of the score reaches alone, what it weighs, and what the score reaches without
    it.
    """
    scorer: Any = bundle.graph.scorer
    added = torch.cat(noted)[: len(test)].numpy()  # the last batch is filled up
    return {
        part: {
            "weight": rounded(float(weights(scorer)[column])),
            "alone": with_interval(test, added[:, column], test.is_anomalous),
            "without": with_interval(test, whole_score - added[:, column], test.is_anomalous),
        }
        for column, part in enumerate(scorer.parts)
    }
