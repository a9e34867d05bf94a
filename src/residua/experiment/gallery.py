"""Which images a report shows, and their pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from residua.bundle import Bundle
from residua.estimators.fitting import score_set
from residua.evaluation import Gallery
from residua.images import ImageSet
from residua.scoring.engine import prepare_images
from residua.scoring.prepare import Prepare

_EACH = 8
_MASK_SHARE = 0.25  # of a picture's pixel that has to be defective to be outlined: thin cracks stay visible


def choose_images(scores: NDArray[Any], is_anomalous: NDArray[np.bool_] | None, threshold: float | None) -> NDArray[np.int64]:
    """The worst and the best images; of labelled ones also the most missed, the falsest alarms, and examples of each kind."""
    order = np.argsort(scores, kind="stable")
    chosen = [order[::-1][:_EACH], order[:_EACH]]
    if is_anomalous is not None:
        normal, anomalous = order[~is_anomalous[order]], order[is_anomalous[order]]
        chosen += [anomalous[:_EACH], anomalous[::-1][:_EACH], normal[::-1][:_EACH], normal[:_EACH]]
        if threshold is not None:
            near = order[np.argsort(np.abs(scores[order] - threshold), kind="stable")]
            chosen.append(near[:_EACH])
    return np.unique(np.concatenate(chosen)).astype(np.int64)


def make_gallery(bundle: Bundle, images: ImageSet, index: NDArray[np.int64]) -> Gallery:
    """Input, reconstruction, error map and mask of the chosen images, at the network's resolution."""
    shown = images[index]
    prepare = bundle.graph.prepare
    prepared = prepare_images(prepare, shown, keep_float=True)
    with torch.inference_mode():
        maps = _network_maps(bundle, prepared)
    scores = score_set(bundle, shown, reconstructions=True)
    assert scores.reconstructions is not None
    return Gallery(
        index=index,
        images=_as_uint8(prepared.permute(0, 2, 3, 1).numpy()),
        reconstructions=_as_uint8(scores.reconstructions),
        error_maps=maps,
        masks=_masks(prepare, shown) if shown.has_masks else None,
    )


def _network_maps(bundle: Bundle, prepared: torch.Tensor) -> NDArray[np.float32]:
    size = bundle.config.batch_size
    batches = [bundle.graph.score_prepared(batch).error_map for batch in prepared.split(size)]
    return torch.cat(batches).numpy().astype(np.float32)


def _as_uint8(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)


def _masks(prepare: Prepare, images: ImageSet) -> NDArray[np.bool_]:
    masks = np.zeros((len(images), *prepare.size), np.bool_)
    for row, mask in enumerate(images.masks):
        if mask is not None:
            values = torch.tensor(mask[np.newaxis, :, :, np.newaxis], dtype=torch.float32)
            masks[row] = prepare(values)[0, 0].numpy() > _MASK_SHARE
    return masks
