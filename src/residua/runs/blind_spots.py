"""Changes planted into normal images, to see which of them an operating point would catch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings import find_blind_spots
from residua.findings.figures import Exhibit, Group, Picture
from residua.images import ImageSet
from residua.records import Finding

_MOST = 40
_Image = NDArray[np.float32]
_Change = Callable[[_Image, np.random.Generator, _Image], _Image]
ScoreOf = Callable[[ImageSet], NDArray[Any]]
"""The scores of images, (n_images,), by the model that is judged."""


def _dimmed(image: _Image, rng: np.random.Generator, other: _Image) -> _Image:
    return image * np.float32(0.6)


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


def _noisy(image: _Image, rng: np.random.Generator, other: _Image) -> _Image:
    return np.clip(image + rng.normal(0, 0.1, image.shape).astype(np.float32), 0, 1)


def _flipped(image: _Image, rng: np.random.Generator, other: _Image) -> _Image:
    return np.ascontiguousarray(image[::-1])


CHANGES: dict[str, _Change] = {
    "dimmed": _dimmed,
    "blurred": _blurred,
    "scratch": _scratched,
    "patch": _patched,
    "noise": _noisy,
    "flipped": _flipped,
}


def look_for_blind_spots(
    score_of: ScoreOf,
    threshold: float | None,
    normals: ImageSet,
    scores: NDArray[Any],
    *,
    seed: int,
) -> tuple[Finding | None, Exhibit | None]:
    """Plant every change into up to 40 normal images and score them as any other image.

    Parameters
    ----------
    score_of : callable
    threshold : float or None
        Without one nothing is caught or missed.
    normals : ImageSet
    scores : float array, (n_normals,)
        Theirs.
    """
    if threshold is None or len(normals) == 0:
        return None, None
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(normals), min(_MOST, len(normals)), replace=False))
    images = list(normals[rows])
    first, found = [Picture.of(_as_float(images[0]), "as it is")], {}
    # one change after the other: large images changed in six ways fill memory
    for name, change in CHANGES.items():
        changed = _planted(images, change, rng, normals.dtype)
        found[name] = score_of(ImageSet.from_arrays(changed))
        first.append(
            Picture.of(
                changed[0], f"{name}: {'caught' if found[name][0] > threshold else 'missed'}"
            )
        )
    finding = find_blind_spots(found, threshold, scores[rows])
    return finding, Exhibit.of(
        [Group(tuple(first), str(normals.paths[rows[0]]))],
        caption="One of the images, with each change.",
    )


def _as_float(image: NDArray[Any]) -> _Image:
    return np.asarray(
        image.astype(np.float32) / (255 if image.dtype == np.uint8 else 1), np.float32
    )


def _planted(
    images: list[NDArray[Any]], change: _Change, rng: np.random.Generator, dtype: np.dtype[Any]
) -> list[NDArray[Any]]:
    changed = []
    for image, other in zip(images, images[1:] + images[:1], strict=True):
        one = change(_as_float(image), rng, _as_float(other))
        changed.append(
            one if dtype != np.uint8 else np.rint(np.clip(one, 0, 1) * 255).astype(np.uint8)
        )
    return changed
