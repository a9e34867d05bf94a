"""Images beside their reconstructions, checked once and handed out in blocks that fit the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, array_of, as_images
from residua.errors import ShapeError

Floats = NDArray[np.float64]

# Half a megabyte of float64: the working arrays of one block stay in the cache.
_VALUES_A_BLOCK = 1 << 16


class Pair:
    """Images and reconstructions of one shape.

    Integer images are converted block by block, never as a whole.
    """

    def __init__(self, where: str, images: Any, reconstructions: Any) -> None:
        problems = Problems(where)
        self._images = _checked(images, "images", problems)
        self._reconstructions = _checked(reconstructions, "reconstructions", problems)
        problems.raise_any()
        if self._images.shape != self._reconstructions.shape:
            problems.add(
                "images and reconstructions must have the same shape",
                f"{self._images.shape} and {self._reconstructions.shape}",
                "Pass one reconstruction an image, at the image's own size",
                ShapeError,
            )
        problems.raise_any()
        self.shape: tuple[int, int, int, int] = self._images.shape

    def map(
        self, function: Callable[[Floats, Floats], Floats], per_image: tuple[int, ...] = ()
    ) -> Floats:
        """`function` over blocks of float64 images, its results stacked to one row per image.

        A block is (k, height, width, channels).
        """
        n_images, height, width, channels = self.shape
        step = max(1, _VALUES_A_BLOCK // (height * width * channels))
        out = np.empty((n_images, *per_image), np.float64)
        for start in range(0, n_images, step):
            block = slice(start, start + step)
            out[block] = function(_unit(self._images[block]), _unit(self._reconstructions[block]))
        return out


def _checked(images: Any, name: str, problems: Problems) -> NDArray[Any]:
    array = array_of(images) if not isinstance(images, list | tuple) else None
    if array is not None and array.dtype in (np.uint8, np.uint16, np.bool_):
        # Checks the shape; an integer is always in range.
        as_images(array[:0], name=name, problems=problems)
        return array[..., np.newaxis] if array.ndim == 3 else array
    return as_images(images, name=name, problems=problems)


def _unit(block: NDArray[Any]) -> Floats:
    return as_images(block, problems=Problems("images")).astype(np.float64)
