"""NumPy's files: ``.npy`` with one array of images, ``.npz`` with one or with Keras' names."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua._files import NUMPY_FAULTS
from residua._text import count
from residua.errors import SourceError
from residua.images.arrays import as_labels, as_pixels, joined_labels, settle_arrays
from residua.images.listing import Listing, Options
from residua.images.sources.walking import shown

# Validation joins train: a model takes its own validation slice.
_PARTS = {
    "train": "train",
    "val": "train",
    "valid": "train",
    "validation": "train",
    "calibration": "calibration",
    "test": "test",
}
_LABELS = ("y", "labels", "label", "targets")


class _Pair(NamedTuple):
    """The names of an array of images and of its labels, and the part that they are in."""

    images: str
    labels: str | None = None
    part: str | None = None


def recognises(path: Path) -> bool:
    """A file with the suffix ``.npy`` or ``.npz``."""
    return path.is_file() and path.suffix.lower() in {".npy", ".npz"}


def read(path: Path, options: Options) -> Listing:
    """The images of every part, or of the one array of images, with labels where there are some.

    uint8 in a ``.npy`` file stays on disk and is paged in as it is used.
    """
    if path.suffix.lower() == ".npy":
        name = shown(path.name)
        return _listing(path, {name: _map(path, options)}, [_Pair(name)], options)
    arrays = _load(path, options)
    pairs = [pair for part in _PARTS if (pair := _pair(arrays, part)) is not None]
    return _listing(path, arrays, pairs or [_only_array(path, arrays)], options)


def _listing(
    path: Path, arrays: Mapping[str, NDArray[Any]], pairs: Sequence[_Pair], options: Options
) -> Listing:
    problems = Problems(str(path))
    reading, assumed = settle_arrays(
        [arrays[pair.images] for pair in pairs],
        options.reading,
        model=options.of_model,
        where=str(path),
    )
    pixels = [
        as_pixels(arrays[pair.images], name=pair.images, problems=problems, reading=reading)
        for pair in pairs
    ]
    labels = [
        None
        if pair.labels is None
        else as_labels(
            arrays[pair.labels], len(arrays[pair.images]), name=pair.labels, problems=problems
        )
        for pair in pairs
    ]
    if len({(images.shape[1:], images.dtype) for images in pixels}) > 1 and not problems:
        shapes = ", ".join(f"{images.shape} {images.dtype}" for images in pixels)
        raise SourceError(
            f"{path}: the parts must agree in size and type. Got {shapes}. Save them alike."
        )
    problems.raise_any()
    lengths = [len(images) for images in pixels]
    rows = [(pair, row) for pair, n in zip(pairs, lengths, strict=True) for row in range(n)]
    n_validation = sum((pair.part or "").startswith("val") for pair, _ in rows)
    return Listing(
        kind=path.suffix.lower()[1:],
        names=[f"{pair.images}[{row}]" for pair, row in rows],
        content=pixels[0] if len(pixels) == 1 else np.concatenate(pixels),
        labels=joined_labels(labels, lengths),
        splits=None if pairs[0].part is None else [_PARTS[str(pair.part)] for pair, _ in rows],
        notes=[f"{count(n_validation, 'validation image')} joined train"] if n_validation else [],
        assumptions=assumed,
        reading=reading,
    )


def _map(path: Path, options: Options) -> NDArray[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old headers; what matters is raised
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except NUMPY_FAULTS as error:
        raise _unreadable(path, error) from error
    if array.dtype != np.uint8 and 4 * array.size > options.array_limit:
        raise too_large(path, 4 * array.size, options.array_limit)
    return array


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
        raise _unreadable(path, error) from error


def _array(archive: Any, name: str) -> NDArray[Any]:
    array = archive[name]
    if not isinstance(array, np.ndarray):  # NumPy hands out a member that is no array as its bytes
        raise ValueError(f"{name} is not an array")  # noqa: TRY004  # told like the other faults
    return array


def _pair(arrays: Mapping[str, NDArray[Any]], part: str) -> _Pair | None:
    """The names of a part: ``x_train``, ``y_train`` or ``train_images``, ``train_labels``."""
    images = next(
        (key for key in (f"x_{part}", f"X_{part}", f"{part}_images", f"{part}_x") if key in arrays),
        None,
    )
    if images is None:
        return None
    return _Pair(
        images,
        next((key for key in (f"y_{part}", f"{part}_labels", f"{part}_y") if key in arrays), None),
        part,
    )


def _only_array(path: Path, arrays: Mapping[str, NDArray[Any]]) -> _Pair:
    candidates = [key for key, array in arrays.items() if array.ndim in {3, 4}]
    named = [key for key in ("x", "X", "images", "data") if key in candidates]
    if not named and len(candidates) != 1:
        there = ", ".join(f"{key} {array.shape}" for key, array in arrays.items()) or "nothing"
        raise SourceError(
            f"{path}: must hold x_train and x_test, or one array of images (n, h, w) or (n, h, w,"
            f" c). Got {there}. Name the images 'images' and their labels 'labels'."
        )
    return _Pair((named or candidates)[0], next((name for name in _LABELS if name in arrays), None))


def too_large(path: Path, n_bytes: int, limit: int) -> SourceError:
    """The error of an array that would not fit the memory the user allows."""
    return SourceError(
        f"{path}: an array must fit in memory. Got {n_bytes:,} bytes where {limit:,} are allowed."
        " Raise memory_megabytes."
    )


def _unreadable(path: Path, error: Exception) -> SourceError:
    """The error of a file that NumPy does not read."""
    if "allow_pickle" in str(error) or "Python objects" in str(error):
        got, mend = "Python objects, which would have to be executed", "Save numbers, not objects"
    else:
        got, mend = (
            str(error) or type(error).__name__,
            "Write it again with numpy.save or numpy.savez",
        )
    return SourceError(
        f"{path}: a {path.suffix} file must hold whole arrays of numbers. Got: {got}. {mend}."
    )
