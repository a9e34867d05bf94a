"""The error maps of a source as pictures beside its scores, all on one colour scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.engines import Engine, score_with
from residua.engines.interface import Progress
from residua.files import atomic_write
from residua.images import ImageSet
from residua.report.pictures import heat_map

_CHUNK = 512
_SAMPLED_FOR_SCALE = 64
_SCALE_QUANTILE = 0.999


def write_maps(
    engine: Engine, images: ImageSet, scores: NDArray[np.float32], folder: Path, progress: Progress | None = None
) -> None:
    """Write the error map of each image into `folder`, all on one colour scale, which the highest `scores` set."""
    ceiling = _common_scale(engine, images, scores)
    names = _file_names(images.paths.tolist())
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        found = score_with(engine, chunk, maps=True).maps or []
        for name, error_map in zip(names[start : start + _CHUNK], found, strict=True):
            target = folder / f"{name}.png"
            with atomic_write(target) as file:
                Image.fromarray(heat_map(error_map, ceiling)).save(file, format="PNG")
        if progress is not None:
            progress(min(start + _CHUNK, len(images)), len(images))


def _common_scale(engine: Engine, images: ImageSet, scores: NDArray[np.float32]) -> float:
    """The error that gets the brightest colour: high, but not the one wildest pixel's."""
    most = images[np.sort(np.argsort(-scores, kind="stable")[:_SAMPLED_FOR_SCALE])]
    maps: list[NDArray[np.float32]] = score_with(engine, most, maps=True).maps or []
    return float(np.quantile(np.concatenate([one.ravel() for one in maps]), _SCALE_QUANTILE)) if maps else 1.0


def _file_names(paths: list[str]) -> list[str]:
    """Paths inside the source as safe file names, each its own: what would coincide gets its row's number."""
    names = [
        "".join(character if character.isascii() and (character.isalnum() or character in "._-") else "_" for character in path)[
            -180:
        ]
        for path in paths
    ]
    seen: set[str] = set()
    for row, name in enumerate(names):
        if name in seen:
            names[row] = f"{name}-{row}"
        seen.add(names[row])
    return names
