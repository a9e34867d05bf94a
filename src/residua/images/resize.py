"""Resizing with a triangle filter: bilinear, antialiased when shrinking. The inference graph uses the same weights."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import ShapeError


@lru_cache(maxsize=256)
def resize_weights(n_in: int, n_out: int, scale: float | None = None) -> NDArray[np.float32]:
    """Weights (n_out, n_in) that resize one axis; rows sum to 1, and equal lengths give the identity.

    ``w[i, j] = max(0, 1 - |j + 1/2 - (i + 1/2) s| / max(s, 1))`` with ``s = n_in / n_out``, rows normalised: the filter
    that Pillow calls ``BILINEAR`` and torch ``mode="bilinear", antialias=True``. The array is read-only. Another `scale` (input
    pixels an output pixel) is taken about the common centre, and what falls outside the input has the edge's value.

    Raises
    ------
    ShapeError
        If a length is below 1.

    Examples
    --------
    >>> resize_weights(4, 2).round(3)
    array([[0.429, 0.429, 0.143, 0.   ],
           [0.   , 0.143, 0.429, 0.429]], dtype=float32)
    """
    if n_in < 1 or n_out < 1:
        problems = Problems("resize_weights")
        problems.add(
            "both lengths must be at least 1", f"{n_in} and {n_out}", "Pass the number of pixels along the axis", ShapeError
        )
        problems.raise_any()
    scale = n_in / n_out if scale is None else scale
    centres = np.clip((np.arange(n_out) + 0.5 - n_out / 2) * scale + n_in / 2, 0.5, n_in - 0.5)
    distance = np.abs(np.arange(n_in) + 0.5 - centres[:, np.newaxis]) / max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - distance)
    weights /= weights.sum(axis=1, keepdims=True)
    result: NDArray[np.float32] = weights.astype(np.float32)
    result.flags.writeable = False
    return result


def resize(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """An image (h, w, c) or images (n, h, w, c) at `size` = (height, width); the aspect ratio is not kept.

    uint8 stays uint8 (rounded), float stays float32. Weights are never negative, so no value leaves the range it was in.

    Examples
    --------
    >>> resize(np.array([[0, 0, 255, 255]], np.uint8)[..., np.newaxis], (1, 2))[..., 0]
    array([[ 36, 219]], dtype=uint8)
    """
    height, width = image.shape[-3:-1]
    if (height, width) == tuple(size):
        return image
    rows, columns = resize_weights(height, size[0]), resize_weights(width, size[1])
    planes = np.moveaxis(image, -1, -3).astype(np.float32)
    result = np.moveaxis(rows @ planes @ columns.T, -3, -1)
    if image.dtype == np.uint8:
        return np.asarray(np.rint(result), np.uint8)
    # Rows of weights sum to 1 up to rounding: white would come out a last digit above 1.
    return np.clip(np.ascontiguousarray(result), image.min(initial=np.inf), image.max(initial=-np.inf))


def fit_to(images: NDArray[Any], size: tuple[int, int], *, keep_aspect: bool = False) -> NDArray[np.float32]:
    """Images (n, h, w, c) as a model sees them: float32 in [0, 1] at `size` = (height, width), never rounded.

    With `keep_aspect` both sides are scaled alike and the edge is repeated on the shorter one.

    Examples
    --------
    >>> fit_to(np.full((1, 2, 4, 1), 51, np.uint8), (2, 2))[0, :, :, 0]
    array([[0.2, 0.2],
           [0.2, 0.2]], dtype=float32)
    """
    values = images.astype(np.float32)
    if images.dtype == np.uint8:
        values /= np.float32(255)
    height, width = images.shape[1:3]
    if (height, width) == tuple(size):
        return values
    both = max(height / size[0], width / size[1]) if keep_aspect else None
    rows, columns = resize_weights(height, size[0], both), resize_weights(width, size[1], both)
    planes = np.asarray(rows @ np.moveaxis(values, -1, -3) @ columns.T, np.float32)
    return np.clip(np.ascontiguousarray(np.moveaxis(planes, -3, -1)), 0, 1)  # rounding leaves it by a last digit
