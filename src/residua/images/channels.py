"""The channels of an image: grey that stands for colour, and colour as grey."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def own_channels(image: NDArray[Any]) -> NDArray[Any]:
    """The channels (..., h, w, c) that differ: one, where a set repeats grey without a copy.

    >>> grey = np.zeros((2, 2, 1), np.uint8)
    >>> own_channels(with_channels(grey, 3)).shape, own_channels(np.zeros((2, 2, 3))).shape
    ((2, 2, 1), (2, 2, 3))
    """
    return image[..., :1] if image.strides[-1] == 0 else image


def with_channels(image: NDArray[Any], channels: int) -> NDArray[Any]:
    """An image (..., h, w, c) with its one channel repeated, as a view; others as they are."""
    if image.shape[-1] == channels:
        return image
    return np.broadcast_to(image, (*image.shape[:-1], channels))


def grey_of(image: NDArray[Any]) -> NDArray[np.float32]:
    """The mean of the channels of an image (h, w, c), uint8 or float in [0, 1], in [0, 1].

    One channel after the other: over the last axis at once it takes five times as long.

    >>> grey_of(np.array([[[0, 51, 102]]], np.uint8)).round(4)
    array([[0.2]], dtype=float32)
    """
    own = own_channels(image)
    summed = own[..., 0].astype(np.float32)
    for channel in range(1, own.shape[-1]):
        summed += own[..., channel]
    summed /= np.float32(own.shape[-1] * (255 if image.dtype == np.uint8 else 1))
    return summed
