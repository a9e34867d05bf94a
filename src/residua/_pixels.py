"""Pixels as floats in [0, 1] and as bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_unit(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Whole numbers divided by the largest that their type holds; floats and booleans as float32.

    >>> as_unit(np.array([0, 51, 255], np.uint8)).tolist()[::2]
    [0.0, 1.0]
    """
    unit = pixels.astype(np.float32)
    return unit if pixels.dtype.kind in "fb" else unit / np.float32(np.iinfo(pixels.dtype).max)


def as_bytes(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Values in [0, 1] as bytes, those outside clipped; bytes as they are.

    >>> as_bytes(np.array([-0.1, 0.2, 1.5])).tolist()
    [0, 51, 255]
    """
    if pixels.dtype == np.uint8:
        return pixels
    scaled = np.clip(pixels, 0, 1) * np.float32(255)
    return np.asarray(np.rint(scaled, out=scaled), np.uint8)
