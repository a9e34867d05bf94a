"""Which images a report shows, and their pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from residua.bundle import Bundle
from residua.estimators.fitting import score_set
from residua.evaluation import Gallery, Thumbnails, choose_thumbnails, thumbnail_size
from residua.experiment.beside import sampled, seed_of
from residua.images import ImageSet
from residua.noticing import nearest_rows
from residua.scoring.engine import prepare_images
from residua.scoring.prepare import Prepare

_MASK_SHARE = 0.25  # of a picture's pixel that has to be defective to be outlined: thin cracks stay visible


def make_gallery(bundle: Bundle, images: ImageSet, index: NDArray[np.int64], fitted_on: ImageSet | None) -> Gallery:
    """Input, reconstruction, error map and mask of the chosen images, and the training image nearest to each."""
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
        images=_as_uint8(_as_arrays(prepared)),
        reconstructions=None if rebuilt is None else _as_uint8(rebuilt),
        error_maps=maps,
        masks=_masks(prepare, shown) if shown.has_masks else None,
        nearest=None if nearest is None else _as_uint8(_as_arrays(prepare_images(prepare, nearest, keep_float=True))),
        nearest_paths=None if nearest is None else nearest.paths,
    )


def nearest_images(bundle: Bundle, fitted_on: ImageSet, shown: ImageSet) -> ImageSet:
    """For each shown image the training image that is nearest to it, pixel by pixel, compared at 32 pixels at most."""
    fitted_on, small = sampled(fitted_on, seed_of(bundle)), _smaller(bundle, 32)
    known, asked = (_as_arrays(prepare_images(small, part, keep_float=True)) for part in (fitted_on, shown))
    return fitted_on[nearest_rows(known, asked)]


def make_thumbnails(bundle: Bundle, images: ImageSet, scores: NDArray[Any], is_anomalous: NDArray[np.bool_] | None) -> Thumbnails:
    """Small pictures of the judged images, as the network sees them."""
    index = choose_thumbnails(scores, is_anomalous)
    prepare = bundle.graph.prepare
    small = Prepare(thumbnail_size(len(index), prepare.size), prepare.aspect)
    chosen = images if len(index) == len(images) else images[index]
    return Thumbnails(index, _as_uint8(_as_arrays(prepare_images(small, chosen, keep_float=True))))


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


def _as_uint8(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)


def _masks(prepare: Prepare, images: ImageSet) -> NDArray[np.bool_]:
    masks, one_size = np.zeros((len(images), *prepare.size), np.bool_), prepare.at_one_size()
    for row, mask in enumerate(images.masks):
        if mask is not None:
            values = torch.tensor(mask[np.newaxis, :, :, np.newaxis], dtype=torch.float32)
            masks[row] = one_size(values)[0, 0].numpy() > _MASK_SHARE
    return masks
