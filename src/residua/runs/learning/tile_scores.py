"""Scores of images by what is stored of them, or of their tiles; which tiles and places teach."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.runs.learning.corrections import Corrections
from residua.runs.learning.features import StoredFeatures, joined
from residua.training.bundle import Bundle, BundleConfig
from residua.training.scoring.learned_score import LearnedScorer, Seen


def scores_of(scorer: Any, seen: Seen, config: BundleConfig) -> Tensor:
    """Scores of images by stored features, float32 (n,), as the engine gives them."""
    return of_images(tile_scores(scorer, seen, config.batch_size), config)


def of_images(scores: Tensor, config: BundleConfig) -> Tensor:
    """Scores of images by those of their tiles, (n, n_places); as they are of whole images."""
    if config.tiling is None or scores.ndim == 1:
        return scores
    return torch.tensor([config.tiling.combine(one) for one in scores.numpy()]).float()


def tile_scores(scorer: Any, seen: Seen, batch_size: int) -> Tensor:
    """In the padded batches of the graph, so that no digit differs; in the shape of the score."""
    if not isinstance(scorer, LearnedScorer):
        return seen.score
    tiles, made = seen.apart()[0], []
    with torch.inference_mode():
        for start in range(0, len(tiles.score), batch_size):
            rows = torch.arange(start, start + batch_size).clamp(max=len(tiles.score) - 1)
            made.append(scorer.score_of(tiles.rows(rows))[: len(tiles.score) - start])
        return seen.scattered(torch.cat(made)) if made else seen.score


def highest_tile(scorer: Any, seen: Seen, config: BundleConfig) -> NDArray[np.bool_]:
    """Which tile gives each image its score, (n, n_places); all of images that are seen whole."""
    scores = tile_scores(scorer, seen, config.batch_size).numpy()
    if config.tiling is None or scores.ndim == 1:
        return np.ones(scores.shape, np.bool_)
    standard = np.nan_to_num(config.tiling.standard(scores), nan=-np.inf)
    return np.asarray(standard.argmax(1)[:, None] == np.arange(scores.shape[1]))


def teaching_tiles(
    scorer: Any,
    corrected: StoredFeatures,
    corrections: Corrections,
    stored: StoredFeatures,
    config: BundleConfig,
) -> NDArray[np.bool_]:
    """Which tiles of corrected images teach: of a defect the highest, and where it has a mask the
    highest under the mask; of a good image all that raised the alarm; of one that is corrected once
    more, those that taught before.
    """
    chosen, point = highest_tile(scorer, corrected.seen, config), config.operating_point
    if config.tiling is None or point is None:
        return chosen
    standard = config.tiling.standard(
        tile_scores(scorer, corrected.seen, config.batch_size).numpy()
    )
    is_good, masks, boxes = corrections.is_good, corrections.images.masks, config.framing.boxes
    chosen |= is_good[:, None] & (standard > point.threshold)
    for part, is_it in (("good", is_good), ("defect", ~is_good)):
        known = stored.of(part)
        taught = dict(zip(known.pixels.tolist(), known.teaches, strict=True))
        for row in np.flatnonzero(is_it & np.isin(corrected.pixels, known.pixels)):
            of_before = taught[corrected.pixels[row]]
            chosen[row] = (chosen[row] & is_good[row]) | of_before
    for row in np.flatnonzero(~is_good):
        if (mask := masks[int(row)]) is not None:
            marked = [bool(mask[box.rows, box.columns].any()) for box in boxes(*mask.shape)]
            under = np.where(np.array(marked) & ~np.isnan(standard[row]), standard[row], -np.inf)
            if np.isfinite(under).any():
                chosen[row] = np.arange(len(under)) == under.argmax()
    return chosen


def shown_by_masks(
    bundle: Bundle, corrections: Corrections, features: StoredFeatures, known: StoredFeatures
) -> StoredFeatures:
    """Labelled defects by what lies under their masks, where the model sees whole images and
    places in them; with those `known` of earlier steps.
    """
    masks = corrections.images.masks
    rows = np.array(
        [
            row
            for row in np.flatnonzero(~corrections.is_good).tolist()
            if not bundle.config.is_framed and (mask := masks[row]) is not None and mask.any()
        ],
        np.int64,
    )
    known = known.rows(~np.isin(known.pixels, features.pixels[rows]))
    if not len(rows):
        return known
    found = StoredFeatures.of_images(bundle, corrections.images[rows], "shown", by_masks=True)
    sees_places = not torch.equal(found.seen.marked, features.rows(rows).seen.marked)
    return joined([known, found]) if sees_places else known
