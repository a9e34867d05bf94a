"""The inference graph's formulas in NumPy: error map and score of images and their reconstructions;
a test ties the two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from residua.images.resize import resize_weights
from residua.metrics import ssim_map
from residua.runs.wrapped.contract import Error

_WINDOW = 11

Floats = NDArray[np.float32]


def error_maps(kind: Error, images: Floats, rebuilt: Floats) -> Floats:
    """The error of each pixel, mean of channels: (n, h, w); ``ssim`` is ``(1 - SSIM) / 2``."""
    if kind == "ssim":
        return _dissimilarity(images, rebuilt)
    difference = images - rebuilt
    return np.asarray(
        (np.abs(difference) if kind == "absolute" else np.square(difference)).mean(axis=3),
        np.float32,
    )


def scores_of(kind: Error, maps: Floats, n_values: int) -> Floats:
    """A number an image, (n,): the map's mean; for ``euclidean`` the root of the sum."""
    score = maps.mean(axis=(1, 2))
    return np.asarray(np.sqrt(score * n_values) if kind == "euclidean" else score, np.float32)


def restore_map(error_map: Floats, height: int, width: int) -> Floats:
    """A map at the size of the image it came from, by the weights that resize images."""
    own = error_map.shape
    if own == (height, width):
        return error_map
    return np.asarray(
        resize_weights(own[0], height) @ error_map @ resize_weights(own[1], width).T, np.float32
    )


def _dissimilarity(images: Floats, rebuilt: Floats) -> Floats:
    side = min(_WINDOW, images.shape[1], images.shape[2])
    radius = (side - 1) // 2
    rim = ((0, 0), (radius, radius), (radius, radius), (0, 0))
    similarity = ssim_map(
        *(np.pad(one, rim, mode="edge") for one in (images, rebuilt)), window=2 * radius + 1
    )
    inner = slice(radius, similarity.shape[1] - radius), slice(radius, similarity.shape[2] - radius)
    return np.asarray((1 - similarity[:, inner[0], inner[1]]) / 2, np.float32)
