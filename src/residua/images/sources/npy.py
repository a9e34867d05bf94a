"""A ``.npy`` file: one array of images, (n, h, w) or (n, h, w, c)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from residua._check import Problems
from residua._files import NUMPY_FAULTS
from residua.images.arrays import as_pixels, settle_arrays
from residua.images.listing import Listing, Options
from residua.images.sources.faults import too_large, unreadable
from residua.images.sources.walking import shown


def recognises(path: Path) -> bool:
    """A file with the suffix ``.npy``."""
    return path.is_file() and path.suffix.lower() == ".npy"


def read(path: Path, options: Options) -> Listing:
    """The images; uint8 stays on disk and is paged in as it is used. No labels, no parts."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old headers; what matters is raised
            array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except NUMPY_FAULTS as error:
        raise unreadable(path, error) from error
    if array.dtype != np.uint8 and 4 * array.size > options.array_limit:
        raise too_large(path, 4 * array.size, options.array_limit)
    problems = Problems(str(path))
    reading, assumed = settle_arrays(
        [array], options.reading, model=options.of_model, where=str(path)
    )
    pixels = as_pixels(array, name="the array", problems=problems, reading=reading)
    problems.raise_any()
    names = [f"{shown(path.name)}[{index}]" for index in range(len(pixels))]
    return Listing(kind="npy", names=names, content=pixels, assumptions=assumed, reading=reading)
