"""Which images a report shows, and their pictures, as the model sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._pixels import as_bytes
from residua.engines import score_with
from residua.evaluation import Gallery, Thumbnails, choose_thumbnails, thumbnail_size
from residua.images import ImageSet
from residua.images.resize import resize_weights, weighted
from residua.runs.baselines import sampled
from residua.runs.model import Floats, JudgedModel

_EACH = 8  # images of each kind: the worst, the best, the nearest to the threshold
_COMPARED_SIDE = 32  # pixels at which the nearest training image is looked for
_COMPARED_AT_ONCE = 64
# The share of a picture's pixel that has to be defective to be outlined: thin cracks stay visible.
_MASK_SHARE = 0.25


def choose_images(
    scores: NDArray[Any], is_anomalous: NDArray[np.bool_] | None, threshold: float | None
) -> NDArray[np.int64]:
    """The worst and the best images, the most missed, the falsest alarms, some of each kind."""
    order = np.argsort(scores, kind="stable")
    chosen = [order[::-1][:_EACH], order[:_EACH]]
    if is_anomalous is not None:
        normal, anomalous = order[~is_anomalous[order]], order[is_anomalous[order]]
        chosen += [anomalous[:_EACH], anomalous[::-1][:_EACH], normal[::-1][:_EACH], normal[:_EACH]]
        if threshold is not None:
            near = order[np.argsort(np.abs(scores[order] - threshold), kind="stable")]
            chosen.append(near[:_EACH])
    return np.unique(np.concatenate(chosen)).astype(np.int64)


def make_gallery(
    model: JudgedModel,
    images: ImageSet,
    index: NDArray[np.int64],
    fitted_on: ImageSet | None,
    targets: ImageSet | None = None,
) -> Gallery:
    """Input, reconstruction, error map and mask of the chosen images, and the training image
    nearest to each, all at the size of what comes out.

    With `targets` the map is that of the error against them.
    """
    shown, size = images[index], model.rebuilt_size
    prepared = model.prepare(shown, size)
    rebuilt, maps = None, None
    if model.reconstructs:
        with_maps = targets is None or model.error_maps is None
        scores = score_with(model.engine, shown, reconstructions=True, maps=with_maps)
        rebuilt = scores.reconstructions
        if targets is not None and model.error_maps is not None and rebuilt is not None:
            maps = model.error_maps(model.prepare(targets[index], size), rebuilt)
        else:
            maps = _at_one_size(model, scores.maps or [])
    nearest = None if fitted_on is None else nearest_images(model, fitted_on, shown)
    return Gallery(
        index=index,
        images=as_bytes(prepared),
        reconstructions=None if rebuilt is None else as_bytes(rebuilt),
        error_maps=maps,
        masks=_shown_masks(model, shown) if shown.has_masks else None,
        nearest=None if nearest is None else as_bytes(model.prepare(nearest, size)),
        nearest_paths=None if nearest is None else nearest.paths,
    )


def nearest_images(model: JudgedModel, fitted_on: ImageSet, shown: ImageSet) -> ImageSet:
    """For each shown image the nearest training image, by pixels at a side of 32 at most."""
    share = min(1.0, _COMPARED_SIDE / max(model.facts.size))
    height, width = (max(1, round(length * share)) for length in model.facts.size)
    fitted_on = sampled(fitted_on, model.seed)
    known, asked = (model.prepare(part, (height, width)) for part in (fitted_on, shown))
    return fitted_on[nearest_rows(known, asked)]


def nearest_rows(known: Floats, asked: Floats) -> NDArray[np.int64]:
    """Which of `known` is nearest to each of `asked` by Euclidean distance."""
    flat, wanted = (array.reshape(len(array), -1) for array in (known, asked))
    squares = np.einsum("ij,ij->i", flat, flat)
    best = np.empty(len(wanted), np.int64)
    for start in range(0, len(wanted), _COMPARED_AT_ONCE):
        part = slice(start, start + _COMPARED_AT_ONCE)
        best[part] = (squares - 2 * wanted[part] @ flat.T).argmin(axis=1)
    return best


def make_thumbnails(
    model: JudgedModel,
    images: ImageSet,
    scores: NDArray[Any],
    is_anomalous: NDArray[np.bool_] | None,
) -> Thumbnails:
    """Small pictures of the judged images."""
    index = choose_thumbnails(scores, is_anomalous)
    chosen = images if len(index) == len(images) else images[index]
    small = thumbnail_size(len(index), model.facts.size)
    return Thumbnails(index, as_bytes(model.prepare(chosen, small)))


def _shown_masks(model: JudgedModel, images: ImageSet) -> NDArray[np.bool_]:
    """The masks of images as their pictures show them; an image without one has no pixel in it."""
    masks = np.zeros((len(images), *model.rebuilt_size), np.bool_)
    for row, mask in enumerate(images.masks):
        if mask is not None:
            masks[row] = _fitted(model, mask.astype(np.float32)) > _MASK_SHARE
    return masks


def _at_one_size(model: JudgedModel, maps: list[Floats]) -> Floats:
    fitted = [_fitted(model, one) for one in maps]
    return np.stack(fitted) if fitted else np.zeros((0, *model.rebuilt_size), np.float32)


def _fitted(model: JudgedModel, plane: Floats) -> Floats:
    """One (height, width) plane at the size of the reconstructions."""
    (height, width), size = plane.shape, model.rebuilt_size
    both = max(height / size[0], width / size[1]) if model.keep_aspect else None
    rows, columns = resize_weights(height, size[0], both), resize_weights(width, size[1], both)
    return weighted(plane[:, :, np.newaxis].astype(np.float32), rows, columns)[:, :, 0]
