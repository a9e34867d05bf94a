"""Changes of a normal image that nobody could overlook: what `blind-spots` asks an operating point
about.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_Image = NDArray[np.float32]
Perturbation = Callable[[_Image, np.random.Generator, _Image], _Image]
"""From an image in [0, 1], a generator, and another normal image."""


def _blurred(image: _Image, rng: np.random.Generator, other: _Image) -> _Image:
    from scipy.ndimage import gaussian_filter

    width = max(image.shape[:2]) / 28
    return np.asarray(gaussian_filter(image, (width, width, 0), mode="nearest"), np.float32)


def _scratched(image: _Image, rng: np.random.Generator, other: _Image) -> _Image:
    """A straight line over a quarter of the side, as bright as the brightest or as dark as the
    darkest pixel.
    """
    height, width = image.shape[:2]
    length, thick = max(3, max(height, width) // 4), max(1, max(height, width) // 64)
    angle, row, column = (
        rng.uniform(0, np.pi),
        rng.uniform(0.3, 0.7) * height,
        rng.uniform(0.3, 0.7) * width,
    )
    along = np.linspace(-0.5, 0.5, 4 * length) * length
    rows, columns = row + along * np.sin(angle), column + along * np.cos(angle)
    changed = image.copy()
    here = image[int(row), int(column)].mean()
    value = image.max() if here < (image.max() + image.min()) / 2 else image.min()
    for shift in range(thick):
        changed[
            np.clip(rows + shift, 0, height - 1).astype(int),
            np.clip(columns, 0, width - 1).astype(int),
        ] = value
    return changed


def _patched(image: _Image, rng: np.random.Generator, other: _Image) -> _Image:
    """A square of a fifth of the side from the middle of another normal image, turned by 90
    degrees, somewhere in the middle.
    """
    side = max(2, min(image.shape[:2]) // 5)
    if min(other.shape[:2]) < 2 * side:
        return image
    top, left = ((extent - side) // 2 for extent in other.shape[:2])
    patch = np.rot90(other[top : top + side, left : left + side])
    row, column = (
        int(rng.integers(extent // 4, max(extent // 4 + 1, 3 * extent // 4 - side)))
        for extent in image.shape[:2]
    )
    changed = image.copy()
    changed[row : row + side, column : column + side] = patch
    return changed


PERTURBATIONS: dict[str, Perturbation] = {
    "dimmed": lambda image, rng, other: image * np.float32(0.6),
    "blurred": _blurred,
    "scratch": _scratched,
    "patch": _patched,
    "noise": lambda image, rng, other: np.clip(
        image + rng.normal(0, 0.1, image.shape).astype(np.float32), 0, 1
    ),
    "flipped": lambda image, rng, other: np.ascontiguousarray(image[::-1]),
}
