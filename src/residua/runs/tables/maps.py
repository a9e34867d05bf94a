"""The error maps of a source as pictures beside its scores, all on one colour scale."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua._files import atomic_write
from residua.engines import Engine, score_with
from residua.evaluation.report.pictures import heat_map
from residua.images import ImageSet
from residua.images.listing import Progress

_SAMPLED_FOR_SCALE, _PIXELS_FOR_SCALE = 64, 2**18  # images, and pixels of each
_SCALE_QUANTILE = 0.999
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


def write_maps(
    engine: Engine,
    images: ImageSet,
    scores: NDArray[np.float32],
    folder: Path,
    progress: Progress | None = None,
) -> None:
    """Write each image's error map into `folder`, on the scale of the highest `scores`."""
    ceiling = _common_scale(engine, images, scores)
    names = _file_names(images.paths.tolist())

    def write(row: int, error_map: NDArray[np.float32]) -> None:
        with atomic_write(folder / f"{names[row]}.png") as file:
            Image.fromarray(heat_map(error_map, ceiling)).save(file, format="PNG")

    score_with(engine, images, on_map=write, progress=progress)


def _common_scale(engine: Engine, images: ImageSet, scores: NDArray[np.float32]) -> float:
    """The error that gets the brightest colour: high, but not the one wildest pixel's."""
    most = images[np.sort(np.argsort(-scores, kind="stable")[:_SAMPLED_FOR_SCALE])]
    sampled: list[NDArray[np.float32]] = []

    def keep(row: int, error_map: NDArray[np.float32]) -> None:
        sampled.append(error_map.ravel()[:: max(1, error_map.size // _PIXELS_FOR_SCALE)].copy())

    score_with(engine, most, on_map=keep)
    return float(np.quantile(np.concatenate(sampled), _SCALE_QUANTILE)) if sampled else 1.0


def _file_names(paths: list[str]) -> list[str]:
    """Paths inside the source as safe file names, each its own.

    What would coincide gets its row's number, also where only upper and lower case differ. Names
    that Windows keeps for devices, such as ``aux.png``, get an underscore in front.
    """
    names = [
        "".join(
            (
                character
                if character.isascii() and (character.isalnum() or character in "._-")
                else "_"
            )
            for character in path
        )[-180:]
        for path in paths
    ]
    names = [f"_{name}" if _DEVICE.match(name) else name for name in names]
    seen: set[str] = set()
    for row, name in enumerate(names):
        if name.lower() in seen:
            names[row] = f"{name}-{row}"
        seen.add(names[row].lower())
    return names
