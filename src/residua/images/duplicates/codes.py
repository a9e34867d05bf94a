"""Low frequencies of an image as a small code.

In it cropping is linear, and turning only swaps and negates numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from residua.images.resize import resize

# Frequencies an axis: those kept, so that a crop can be computed, and those compared.
STORED, COMPARED = (16, 10)
# an image with a longer side is reduced first: the frequencies that are kept are far below that
_LONGEST = 160
_FINE = 512
Frame = tuple[float, float, float, float]


@lru_cache(maxsize=4096)
def cosines(
    n_pixels: int, n_frequencies: int, low: float = 0.0, high: float = 1.0
) -> NDArray[np.float32]:
    """Cosine basis of a stretch of the side, as weights of its pixels.

    (n_frequencies, n_pixels); the stretch is from `low` to `high`, in shares of the side.

    Frequencies that so few pixels cannot hold are zero.
    """
    edges = np.arange(n_pixels + 1) / n_pixels
    covered = np.clip((np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)) * n_pixels, 0, 1)
    place = ((edges[1:] + edges[:-1]) / 2 - low) / (high - low)
    frequency = np.arange(n_frequencies)[:, np.newaxis]
    waves = (
        np.cos(np.pi * frequency * place)
        * np.where(frequency == 0, 1, np.sqrt(2))
        * covered
        / covered.sum()
    )
    waves[n_pixels:] = 0
    result: NDArray[np.float32] = waves.astype(np.float32)
    result.flags.writeable = False
    return result


def encode(images: Iterable[NDArray[np.generic]], n_images: int) -> NDArray[np.float32]:
    """Cosine coefficients of each image's grey, (n_images, 16, 16).

    The first of each is its mean brightness in [0, 1].
    """
    codes = np.zeros((n_images, STORED, STORED), np.float32)
    for row, image in enumerate(images):
        codes[row] = _encoded(image)
    return codes


def _encoded(image: NDArray[np.generic]) -> NDArray[np.float32]:
    height, width = image.shape[:2]
    if max(height, width) > _LONGEST:
        shrunk = _LONGEST / max(height, width)
        image = resize(image, (max(1, round(height * shrunk)), max(1, round(width * shrunk))))
    grey = image.astype(np.float32).mean(axis=2) / (255 if image.dtype == np.uint8 else 1)
    return np.asarray(
        cosines(grey.shape[0], STORED) @ grey @ cosines(grey.shape[1], STORED).T, np.float32
    )


@lru_cache(maxsize=256)
def cropping(low: float, high: float) -> NDArray[np.float32]:
    """Matrix from the stored coefficients of an axis to those of a stretch of it, (10, 16).

    The stretch is from `low` to `high`.
    """
    return np.asarray(
        cosines(_FINE, COMPARED, low, high) @ cosines(_FINE, STORED).T * _FINE, np.float32
    )
