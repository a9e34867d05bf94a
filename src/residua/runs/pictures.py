"""Which images a report shows, and their pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from residua.evaluation import Gallery, Thumbnails, choose_thumbnails, thumbnail_size
from residua.images import ImageSet
from residua.runs.baselines import sampled, seed_of
from residua.runs.masks import as_bytes, shown_masks
from residua.runs.selection import nearest_rows
from residua.training.bundle import Bundle, score_set
from residua.training.scoring.engine import prepare_images
from residua.training.scoring.prepare import Prepare


def make_gallery(
    bundle: Bundle, images: ImageSet, index: NDArray[np.int64], fitted_on: ImageSet | None
) -> Gallery:
    """Input, reconstruction, error map and mask of the chosen images, and the training image
    nearest to each.
    """
    shown = images[index]
    prepare = bundle.graph.prepare
    prepared = prepare_images(prepare, shown, keep_float=True)
    rebuilt, maps = None, None
    if bundle.graph.scorer.reconstructs:
        scores = score_set(bundle, shown, reconstructions=True, maps=True)
        rebuilt, maps = scores.reconstructions, _at_one_size(prepare, scores.maps or [])
    nearest = None if fitted_on is None else nearest_images(bundle, fitted_on, shown)
    return Gallery(
        index=index,
        images=as_bytes(_as_arrays(prepared)),
        reconstructions=None if rebuilt is None else as_bytes(rebuilt),
        error_maps=maps,
        masks=(
            shown_masks(shown, prepare.size, keep_aspect=prepare.aspect == "keep")
            if shown.has_masks
            else None
        ),
        nearest=(
            None
            if nearest is None
            else as_bytes(_as_arrays(prepare_images(prepare, nearest, keep_float=True)))
        ),
        nearest_paths=None if nearest is None else nearest.paths,
    )


def nearest_images(bundle: Bundle, fitted_on: ImageSet, shown: ImageSet) -> ImageSet:
    """For each shown image the training image that is nearest to it, pixel by pixel, compared at 32
    pixels at most.
    """
    fitted_on, small = sampled(fitted_on, seed_of(bundle)), _smaller(bundle, 32)
    known, asked = (
        _as_arrays(prepare_images(small, part, keep_float=True)) for part in (fitted_on, shown)
    )
    return fitted_on[nearest_rows(known, asked)]


def make_thumbnails(
    bundle: Bundle, images: ImageSet, scores: NDArray[Any], is_anomalous: NDArray[np.bool_] | None
) -> Thumbnails:
    """Small pictures of the judged images, as the network sees them."""
    index = choose_thumbnails(scores, is_anomalous)
    prepare = bundle.graph.prepare
    small = Prepare(thumbnail_size(len(index), prepare.size), prepare.aspect)
    chosen = images if len(index) == len(images) else images[index]
    return Thumbnails(index, as_bytes(_as_arrays(prepare_images(small, chosen, keep_float=True))))


def _smaller(bundle: Bundle, side: int) -> Prepare:
    prepare = bundle.graph.prepare
    share = min(1.0, side / max(prepare.size))
    height, width = (max(1, round(length * share)) for length in prepare.size)
    return Prepare((height, width), prepare.aspect)


def _as_arrays(prepared: torch.Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(prepared.permute(0, 2, 3, 1).numpy())


def _at_one_size(prepare: Prepare, maps: Iterable[NDArray[Any]]) -> NDArray[np.float32]:
    one_size = prepare.at_one_size()
    values = (torch.tensor(one[np.newaxis, :, :, np.newaxis], dtype=torch.float32) for one in maps)
    return torch.cat([one_size(one)[0] for one in values]).numpy()
