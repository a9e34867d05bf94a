"""Simple numbers of each image: what a look, or the file system, tells without any network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.images import ImageSet, resize

_SIDE = 64
_GRID = 8  # JPEG compresses blocks of 8 x 8 pixels


def image_statistics(images: ImageSet, *, progress: Callable[[int, int], None] | None = None) -> dict[str, NDArray[np.float64]]:
    """Simple numbers of every image by name, (n,) each.

    ``brightness``, ``contrast``, ``sharpness``, ``compression``, ``highest``, ``height``, ``width`` and, of files, ``file_size``.

    Brightness is the mean of the values in [0, 1], contrast their standard deviation, sharpness the mean step between
    neighbours over the contrast, at 64 pixels at most, so that size does not count; compression the steps across the edges of
    8 x 8 blocks over those within, 1 where there are no blocks (of images of 24 pixels and more); highest the largest value.

    Examples
    --------
    >>> found = image_statistics(ImageSet.from_arrays(np.full((2, 8, 8), 51, np.uint8)))
    >>> found["brightness"].round(3).tolist(), found["contrast"].round(3).tolist(), sorted(found)[:3]
    ([0.2, 0.2], [0.0, 0.0], ['brightness', 'compression', 'contrast'])
    """
    rows = []
    for batch in images.batches(256):
        rows += [_of(image) for image in batch]
        if progress is not None:
            progress(len(rows), len(images))
    table = np.asarray(rows, np.float64).reshape(-1, 5)
    found = dict(zip(("brightness", "contrast", "sharpness", "compression", "highest"), table.T, strict=True))
    found["height"], found["width"] = images.sizes.astype(np.float64).T if len(images) else np.zeros((2, 0))
    sizes = _file_sizes(images)
    return found if sizes is None else {**found, "file_size": sizes}


def _of(image: NDArray[np.generic]) -> tuple[float, ...]:
    values = image.astype(np.float32) / (255 if image.dtype == np.uint8 else 1)
    grey = values.mean(axis=2)
    height, width = grey.shape
    shrunk = min(1.0, _SIDE / max(height, width))
    small = resize(grey[..., np.newaxis], (max(1, round(height * shrunk)), max(1, round(width * shrunk))))[..., 0]
    contrast = float(grey.std())
    steps = [np.abs(np.diff(small, axis=axis)).mean() for axis in (0, 1) if small.shape[axis] > 1]
    sharpness = float(np.mean(steps)) / max(contrast, 1e-3) if steps else 0.0
    return float(grey.mean()), contrast, sharpness, _blockiness(grey), float(values.max())


def _blockiness(grey: NDArray[np.float32]) -> float:
    ratios = []
    for axis in (0, 1):
        if grey.shape[axis] < 3 * _GRID:
            continue
        steps = np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis)
        is_edge = np.arange(1, len(steps) + 1) % _GRID == 0
        ratios.append(float((steps[is_edge].mean() + 1e-3) / (steps[~is_edge].mean() + 1e-3)))
    return float(np.mean(ratios)) if ratios else 1.0


def _file_sizes(images: ImageSet) -> NDArray[np.float64] | None:
    """Bytes of each image's file, where its path names one."""
    source = Path(images.source)
    folder = source if source.is_dir() else source.parent
    files: list[Any] = [folder / str(path) for path in images.paths]
    if not files or not all(file.is_file() for file in files):
        return None
    return np.asarray([file.stat().st_size for file in files], np.float64)
