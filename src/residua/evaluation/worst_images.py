"""A few images to look at: the worst reconstructed, and the best for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, array_of, as_images, same_length
from residua._pixels import as_bytes, as_unit
from residua.evaluation.evidence import Gallery
from residua.evaluation.thumbnails import Thumbnails, choose_thumbnails, thumbnail_size

_WORST, _BEST = 12, 4


def worst_images(
    images: NDArray[Any], reconstructions: NDArray[Any], errors: NDArray[np.float64]
) -> Gallery | None:
    """The twelve images with the highest error and the four with the lowest; None for images
    without height or odd channels.

    - `images`, `reconstructions`: uint8, or float in [0, 1], (n_images, height, width, channels).
    - `errors`: float array, (n_images,).
    """
    if len(images) == 0 or images.shape[1] == 1 or images.shape[3] not in (1, 3):
        return None
    index = _worst_and_best(errors)
    x, r = (as_unit(array[index]) for array in (images, reconstructions))
    return Gallery(
        index=index,
        images=as_bytes(x),
        reconstructions=as_bytes(r),
        error_maps=np.square(x - r).mean(axis=3).astype(np.float32),
    )


def _worst_and_best(errors: NDArray[Any]) -> NDArray[np.int64]:
    order = np.argsort(-errors, kind="stable").astype(np.int64)
    few = len(order) <= _WORST + _BEST
    return order if few else np.concatenate([order[:_WORST], order[-_BEST:]])


def scored_images(
    images: Sequence[Any],
    scores: NDArray[Any],
    maps: Sequence[Any] | None,
    masks: Sequence[Any] | None,
    problems: Problems,
) -> Gallery | None:
    """The twelve images with the highest score and the four with the lowest, with their maps and
    masks where these have the images' size; None where there is none, or `problems` has grown.
    """
    same_length(problems, scores=scores, images=images)
    if problems or not len(scores):
        return None
    index = _worst_and_best(scores)
    x = as_images([array_of(images[row]) for row in index.tolist()], problems=problems)
    if problems or x.shape[3] not in (1, 3):
        return None

    def beside(arrays: Sequence[Any] | None) -> NDArray[Any] | None:
        rows = [None if arrays is None else arrays[row] for row in index.tolist()]
        known = [np.zeros(x.shape[1:3]) if one is None else array_of(one) for one in rows]
        fits = any(one is not None for one in rows) and {one.shape for one in known} == {
            x.shape[1:3]
        }
        return np.stack(known) if fits else None

    shown, marked = beside(maps), beside(masks)
    return Gallery(
        index,
        as_bytes(x),
        error_maps=None if shown is None or shown.min() < 0 else shown.astype(np.float32),
        masks=None if marked is None else marked != 0,
    )


def small_images(images: NDArray[Any], errors: NDArray[np.float64]) -> Thumbnails | None:
    """Thumbnails of at most 10,000 images; None for images without height or odd channels."""
    from residua.images.resize import resize  # judging scores has no images

    if len(images) == 0 or images.shape[1] == 1 or images.shape[3] not in (1, 3):
        return None
    index = choose_thumbnails(errors)
    size = thumbnail_size(len(index), (images.shape[1], images.shape[2]))
    parts = (index[start : start + 256] for start in range(0, len(index), 256))
    return Thumbnails(
        index, np.concatenate([as_bytes(resize(as_unit(images[part]), size)) for part in parts])
    )
