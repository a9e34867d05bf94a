"""A ``.npz`` file: Keras' names ``x_train y_train x_test y_test``, ``train_images ...``, or one
array of images.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua._files import NUMPY_FAULTS
from residua.errors import SourceError
from residua.images.arrays import as_labels, as_pixels, joined_labels, settle_arrays
from residua.images.listing import Listing, Options, count
from residua.images.sources.faults import too_large, unreadable

_PARTS = {
    "train": "train",
    "val": "train",
    "valid": "train",
    "validation": "train",
    "calibration": "calibration",
    "test": "test",
}
_LABELS = ("y", "labels", "label", "targets")


def recognises(path: Path) -> bool:
    """A file with the suffix ``.npz``."""
    return path.is_file() and path.suffix.lower() == ".npz"


def read(path: Path, options: Options) -> Listing:
    """The images of every part, or of the one array of images, with labels where there are some."""
    arrays = _load(path, options)
    parts = {name: _pair(arrays, name) for name in _PARTS if _pair(arrays, name) is not None}
    problems = Problems(str(path))
    if not parts:
        return _one_array(path, arrays, problems, options)
    keys = [pair[0] for pair in parts.values() if pair is not None]
    reading, assumed = settle_arrays(
        [arrays[key] for key in keys], options.reading, model=options.of_model, where=str(path)
    )
    pixels, labels, names, splits = [], [], [], []
    for name, pair in parts.items():
        key, own = pair  # type: ignore[misc]  # None is filtered out above
        images = as_pixels(arrays[key], name=key, problems=problems, reading=reading)
        pixels.append(images)
        names += [f"{key}[{index}]" for index in range(len(images))]
        splits += [_PARTS[name]] * len(images)
        labels.append(
            None
            if own is None
            else as_labels(arrays[own], len(arrays[key]), name=own, problems=problems)
        )
    if len({(images.shape[1:], images.dtype) for images in pixels}) > 1 and not problems:
        shapes = ", ".join(f"{images.shape} {images.dtype}" for images in pixels)
        raise SourceError(
            f"{path}: the parts must agree in size and type. Got {shapes}. Save them alike."
        )
    problems.raise_any()
    n_validation = splits.count("train") - (len(pixels[0]) if "train" in parts else 0)
    return Listing(
        kind="npz",
        names=names,
        content=np.concatenate(pixels),
        labels=joined_labels(labels, [len(images) for images in pixels]),
        splits=splits,
        notes=[f"{count(n_validation, 'validation image')} joined train"] if n_validation else [],
        assumptions=assumed,
        reading=reading,
    )


def _load(path: Path, options: Options) -> dict[str, NDArray[Any]]:
    try:
        with (
            warnings.catch_warnings(),
            path.open("rb") as file,
        ):  # NumPy leaves a file open that it fails on
            warnings.simplefilter("ignore")
            archive: Any = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("an array, not an archive of arrays")  # noqa: TRY004  # told like the other faults
            n_bytes = (
                sum(entry.file_size for entry in archive.zip.infolist())
                if archive.zip is not None
                else 0
            )
            if n_bytes > options.array_limit:
                raise too_large(path, n_bytes, options.array_limit)
            return {name: _array(archive, name) for name in archive.files}
    except SourceError:
        raise
    except NUMPY_FAULTS as error:
        raise unreadable(path, error) from error


def _array(archive: Any, name: str) -> NDArray[Any]:
    array = archive[name]
    if not isinstance(array, np.ndarray):  # NumPy hands out a member that is no array as its bytes
        raise ValueError(f"{name} is not an array")  # noqa: TRY004  # told like the other faults
    return array


def _pair(arrays: dict[str, NDArray[Any]], part: str) -> tuple[str, str | None] | None:
    """The names of the images and labels of a part: ``x_train`` and ``y_train``, or
    ``train_images`` and ``train_labels``.
    """
    images = next(
        (key for key in (f"x_{part}", f"X_{part}", f"{part}_images", f"{part}_x") if key in arrays),
        None,
    )
    if images is None:
        return None
    labels = next(
        (key for key in (f"y_{part}", f"{part}_labels", f"{part}_y") if key in arrays), None
    )
    return images, labels


def _one_array(
    path: Path, arrays: dict[str, NDArray[Any]], problems: Problems, options: Options
) -> Listing:
    candidates = [key for key, array in arrays.items() if array.ndim in {3, 4}]
    named = [key for key in ("x", "X", "images", "data") if key in candidates]
    if not named and len(candidates) != 1:
        there = ", ".join(f"{key} {array.shape}" for key, array in arrays.items()) or "nothing"
        raise SourceError(
            f"{path}: must hold x_train and x_test, or one array of images (n, h, w) or (n, h, w,"
            f" c). Got {there}. Name the images 'images' and their labels 'labels'."
        )
    key = named[0] if named else candidates[0]
    reading, assumed = settle_arrays(
        [arrays[key]], options.reading, model=options.of_model, where=str(path)
    )
    pixels = as_pixels(arrays[key], name=key, problems=problems, reading=reading)
    own = next((name for name in _LABELS if name in arrays), None)
    labels = (
        None
        if own is None
        else as_labels(arrays[own], len(arrays[key]), name=own, problems=problems)
    )
    problems.raise_any()
    names = [f"{key}[{index}]" for index in range(len(pixels))]
    return Listing(
        kind="npz", names=names, content=pixels, labels=labels, assumptions=assumed, reading=reading
    )
