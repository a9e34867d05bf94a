"""A few images to look at: the worst reconstructed, and the best for comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._pixels import as_bytes, as_unit
from residua.evaluation.evidence import Gallery
from residua.evaluation.thumbnails import Thumbnails, choose_thumbnails, thumbnail_size

_WORST, _BEST = 12, 4


def worst_images(
    images: NDArray[Any], reconstructions: NDArray[Any], errors: NDArray[np.float64]
) -> Gallery | None:
    """The twelve images with the highest error and the four with the lowest; None for images
    without height or odd channels.

    Parameters
    ----------
    images, reconstructions : uint8, or float in [0, 1], (n_images, height, width, channels)
    errors : float array, (n_images,)
    """
    if len(images) == 0 or images.shape[1] == 1 or images.shape[3] not in (1, 3):
        return None
    order = np.argsort(-errors, kind="stable")
    index = (
        order if len(order) <= _WORST + _BEST else np.concatenate([order[:_WORST], order[-_BEST:]])
    )
    x, r = (as_unit(array[index]) for array in (images, reconstructions))
    return Gallery(
        index=index.astype(np.int64),
        images=as_bytes(x),
        reconstructions=as_bytes(r),
        error_maps=np.square(x - r).mean(axis=3).astype(np.float32),
    )


def small_images(images: NDArray[Any], errors: NDArray[np.float64]) -> Thumbnails | None:
    """Thumbnails of the images (of 10,000 at most); None for images without height or odd
    channels.
    """
    from residua.images.resize import resize  # judging scores has no images

    if len(images) == 0 or images.shape[1] == 1 or images.shape[3] not in (1, 3):
        return None
    index = choose_thumbnails(errors)
    size = thumbnail_size(len(index), (images.shape[1], images.shape[2]))
    parts = (index[start : start + 256] for start in range(0, len(index), 256))
    return Thumbnails(
        index, np.concatenate([as_bytes(resize(as_unit(images[part]), size)) for part in parts])
    )
