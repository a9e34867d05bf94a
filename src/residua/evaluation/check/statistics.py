"""Simple numbers of each image: what a look, or the file system, tells without any network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.images import ImageSet, resize
from residua.images.channels import grey_of, own_channels
from residua.metrics.groups import Groups

SCALES = frozenset({"highest", "range"})
"""Numbers that say how an image was stored, not how it looks."""

_SIDE = 64
_VOTING_SIDE, _NEIGHBOURS, _COMPARED_AT_ONCE = 16, 10, 256
_BLOCK, _HALF = 8, 4  # JPEG compresses blocks of 8 x 8 pixels
_MOST_COMPRESSED = 512
_FLOOR = 0.002
_FREQUENCIES = np.arange(_BLOCK)
_COSINES = np.cos(np.pi * np.outer(_FREQUENCIES, 2 * _FREQUENCIES + 1) / 16) / 2
_IS_HIGH = np.add.outer(_FREQUENCIES, _FREQUENCIES) >= _BLOCK
# (64, 28): the coefficients of all blocks are one product, 2.4 times as fast as two for each block.
_HIGH_WAVES = np.einsum("ai,bj->ijab", _COSINES, _COSINES)[..., _IS_HIGH].reshape(_BLOCK**2, -1)
_HIGH_WAVES = np.ascontiguousarray(_HIGH_WAVES, np.float32)


def image_statistics(
    images: ImageSet, *, progress: Callable[[int, int], None] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Simple numbers of every image by name, (n,) each.

    ``brightness``, ``contrast``, ``sharpness``, ``compression``, ``highest``, ``range``,
    ``height``, ``width`` and, of files, ``file_size``.

    Brightness is the mean of the values in [0, 1], contrast their standard deviation, sharpness the
    mean step between neighbours over the contrast, at 64 pixels at most, so that size does not
    count; compression how much of the high frequencies is missing in 8 x 8 blocks, as JPEG leaves
    them (a logarithm, near 0 where none is; of images of 24 pixels and more); highest the largest
    value; range the largest less the smallest, of the channel where that is most.

    >>> found = image_statistics(ImageSet.from_arrays(np.full((2, 8, 8), 51, np.uint8)))
    >>> (
    ...     found["brightness"].round(3).tolist(),
    ...     found["contrast"].round(3).tolist(),
    ...     sorted(found)[:3],
    ... )
    ([0.2, 0.2], [0.0, 0.0], ['brightness', 'compression', 'contrast'])
    """
    rows = []
    for batch in images.chunks():
        rows += [_of(image) for image in batch]
        if progress is not None:
            progress(len(rows), len(images))
    table = np.asarray(rows, np.float64).reshape(-1, 6)
    found = dict(
        zip(
            ("brightness", "contrast", "sharpness", "compression", "highest", "range"),
            table.T,
            strict=True,
        )
    )
    found["height"], found["width"] = (
        images.sizes.astype(np.float64).T if len(images) else np.zeros((2, 0))
    )
    sizes = _file_sizes(images)
    return found if sizes is None else {**found, "file_size": sizes}


def neighbour_votes(
    images: Sequence[NDArray[np.generic]],
    labels: NDArray[np.int64],
    n_classes: int,
    groups: Any = None,
) -> NDArray[np.float64]:
    """The share of each label among the ten images that look most alike, (n, n_classes), at 16
    pixels a side; never the image itself, nor one of its group.

    >>> dark, light = np.zeros((8, 8, 1), np.uint8), np.full((8, 8, 1), 200, np.uint8)
    >>> votes = neighbour_votes([dark, dark, light, light] * 6, np.array([0, 0, 1, 1] * 6), 2)
    >>> votes[0].tolist(), votes[2].tolist()
    ([1.0, 0.0], [0.0, 1.0])
    """
    small = np.stack([_small(image) for image in images])
    codes = np.arange(len(small)) if groups is None else Groups.read(groups, len(small)).codes
    squares = np.einsum("ij,ij->i", small, small)
    votes = np.zeros((len(small), n_classes))
    for start in range(0, len(small), _COMPARED_AT_ONCE):
        part = slice(start, start + _COMPARED_AT_ONCE)
        far = squares - 2 * small[part] @ small.T
        far[codes[part, np.newaxis] == codes] = np.inf
        nearest = np.argpartition(far, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
        for k in range(n_classes):
            votes[part, k] = (labels[nearest] == k).mean(axis=1)
    return votes


def _small(image: NDArray[np.generic]) -> NDArray[np.float32]:
    return resize(grey_of(image)[..., np.newaxis], (_VOTING_SIDE, _VOTING_SIDE)).reshape(-1)


def look_of(image: NDArray[np.generic]) -> tuple[float, float, float]:
    """Brightness, contrast and sharpness of an image (h, w, c); see `image_statistics`.

    >>> [round(one, 3) for one in look_of(np.full((8, 8, 1), 51, np.uint8))]
    [0.2, 0.0, 0.0]
    """
    return _look(grey_of(image))


def _look(grey: NDArray[np.float32]) -> tuple[float, float, float]:
    """`look_of` of a picture that may be changed: it is left as differences from its mean."""
    height, width = grey.shape
    shrunk = min(1.0, _SIDE / max(height, width))
    small = resize(
        grey[..., np.newaxis], (max(1, round(height * shrunk)), max(1, round(width * shrunk)))
    )[..., 0]
    brightness = float(grey.mean())
    grey -= np.float32(brightness)
    contrast = float(np.linalg.norm(grey)) / math.sqrt(grey.size)
    steps = [np.abs(np.diff(small, axis=axis)).mean() for axis in (0, 1) if small.shape[axis] > 1]
    sharpness = float(np.mean(steps)) / max(contrast, 1e-3) if steps else 0.0
    return brightness, contrast, sharpness


def _of(image: NDArray[np.generic]) -> tuple[float, ...]:
    grey = grey_of(image)
    # One channel after the other: over both leading axes at once it takes twenty times as long.
    ends = np.array([(one.min(), one.max()) for one in np.moveaxis(own_channels(image), 2, 0)])
    low, high = ends.T.astype(np.float32) / np.float32(255 if image.dtype == np.uint8 else 1)
    highest, reach = float(high.max()), float((high - low).max())
    compression = _compression(grey)
    return *_look(grey), compression, highest, reach


def _compression(grey: NDArray[np.float32]) -> float:
    """How much less high frequencies there are in the blocks that JPEG compresses than in blocks
    that lie half-way between.

    Those half a block away in all four directions: one direction alone would compare other parts of
    the image too.
    """
    grey = grey[:_MOST_COMPRESSED, :_MOST_COMPRESSED]
    if min(grey.shape) < 3 * _BLOCK:
        return 0.0
    rows, columns = ((side - _BLOCK - _HALF) // _BLOCK for side in grey.shape)
    aligned = _high_frequencies(grey[_BLOCK:, _BLOCK:], rows, columns)
    # Half a block before and after lie on one grid, of a row and a column more.
    between = _high_frequencies(grey[_HALF:, _HALF:], rows + 1, columns + 1)
    ends = (slice(None, -1), slice(1, None))
    about = np.mean([between[down, right].mean() for down in ends for right in ends])
    return math.log((float(about) + _FLOOR) / (float(aligned.mean()) + _FLOOR))


def _high_frequencies(grey: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Mean size of the upper half of the cosine coefficients of each 8 x 8 block."""
    blocks = (
        grey[: rows * _BLOCK, : columns * _BLOCK]
        .reshape(rows, _BLOCK, columns, _BLOCK)
        .swapaxes(1, 2)
        .reshape(-1, _BLOCK**2)
    )
    return np.asarray(np.abs(blocks @ _HIGH_WAVES).mean(axis=1).reshape(rows, columns))


def _file_sizes(images: ImageSet) -> NDArray[np.float64] | None:
    """Bytes of each image's file, where its path names one."""
    source = Path(images.source)
    folder = source if source.is_dir() else source.parent
    files: list[Any] = [folder / str(path) for path in images.paths]
    return (
        None
        if not files or not all(file.is_file() for file in files)
        else np.asarray([file.stat().st_size for file in files], np.float64)
    )
