"""Pixel arrays from outside become uint8 or float32 in [0, 1], (n, h, w, 1 or 3).

They come from npz, npy and IDX files, and as plain arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, array_of, as_images
from residua.errors import ImageError, LabelError, RangeError, ShapeError
from residua.images.columns import strings
from residua.images.reading import AS_IT_SAYS, Reading, ReadingTally, ink_of, on_ground
from residua.records import Assumption

_LONGEST_LABEL = 1_000  # characters: what is printed beside a number, and not a text
LONGEST_SIDE = 65_535  # what a JPEG can hold; weights that resize a side are as long as it
_MODERATE_SIDE, _NARROWEST = 4_096, 256  # pixels; a longer side may be so many times the other


def fault_of_extent(height: int, width: int) -> str | None:
    """Why an image of this size is not taken: a side too long, or far longer than the other.

    None where it is.

    Work and memory of resizing follow the sides and not the pixels, so a thousand bytes of
    24,000,000 x 1 pixels would take gigabytes.

    >>> fault_of_extent(1, 784), fault_of_extent(1, 100_000)
    (None, 'a side may have at most 65,535')
    """
    longer, shorter = max(height, width), min(height, width)
    if longer > LONGEST_SIDE:
        return f"a side may have at most {LONGEST_SIDE:,}"
    if longer > _MODERATE_SIDE and longer > _NARROWEST * shorter:
        return (
            f"a side beyond {_MODERATE_SIDE:,} may be at most {_NARROWEST} times as long as the"
            " other"
        )
    return None


def settle_arrays(
    arrays: Iterable[Any], told: Reading, *, model: bool = False, where: str = "load_images"
) -> tuple[Reading, tuple[Assumption, ...]]:
    """How all of a set's arrays are read, and what was assumed for it; see `ReadingTally.settle`.

    >>> settle_arrays([np.full((20, 4, 4), 4000, np.uint16)], Reading())[0].bits
    12
    """
    seen = ReadingTally()
    for array in map(array_of, arrays):
        if array.dtype == np.uint16 and array.size:
            seen.add_wide(len(array) if array.ndim > 2 else 1, int(array.max()))
        if (
            array.ndim in {3, 4}
            and array.shape[-1] == 4
            and array.dtype.kind in "uf"
            and array.size
        ):
            for image in array if array.ndim == 4 else array[np.newaxis]:
                seen.add(None, _ink(image))
    return seen.settle(told, model=model, where=where)


def _ink(image: NDArray[Any]) -> Any:
    white = 1 if image.dtype.kind == "f" else np.iinfo(image.dtype).max
    opacity = image[..., 3] / np.float32(white)
    return None if opacity.min() >= 1 else ink_of(image[..., :3], opacity)


def as_pixels(
    images: Any, *, name: str, problems: Problems, reading: Reading = AS_IT_SAYS
) -> NDArray[Any]:
    """Images of one size as (n, h, w, 1 or 3).

    uint8 stays, booleans become 0 and 255, 16 bits and floats become float32.

    Whole numbers are scaled as `reading` says. Four channels are taken as colour with transparency
    and laid on its ground, as for files. On a problem an empty array comes back and `problems` has
    grown.
    """
    array = array_of(images)
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim == 4 and 0 not in array.shape[1:] and array.shape[-1] not in {1, 3, 4}:
        return problems.instead(
            np.zeros((0, 1, 1, 1), np.uint8),
            f"{name} must have 1 channel, 3 (red, green, blue) or 4 (and transparency), the last"
            " axis",
            f"shape {array.shape}",
            "Move the channels last: np.moveaxis(images, 1, -1)"
            if array.shape[1] in {1, 3, 4}
            else "Drop or merge channels",
            ShapeError,
        )
    if array.ndim == 4 and (fault := fault_of_extent(*array.shape[1:3])):
        return problems.instead(
            np.zeros((0, 1, 1, 1), np.uint8),
            f"{name} must have sides that can be resized",
            f"shape {array.shape}: {fault}",
            "Cut or reshape",
            ShapeError,
        )
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    if (
        array.ndim == 4
        and array.dtype.kind in "iu"
        and reading.bits is not None
        and reading.is_scaled(array.dtype)
    ):
        array = _scaled(array, name, problems, reading)
    if array.ndim != 4 or 0 in array.shape[1:] or array.dtype != np.uint8:
        array = as_images(array, name=name, problems=problems)
    if array.shape[-1] != 4:
        return array
    white = np.float32(255 if array.dtype == np.uint8 else 1)
    return on_ground(array[..., :3], array[..., 3] / white, reading.ground or "black")


def _scaled(array: NDArray[Any], name: str, problems: Problems, reading: Reading) -> NDArray[Any]:
    try:
        reading.check(array)
    except ImageError as error:
        return problems.instead(
            np.zeros((0, *array.shape[1:]), np.float32),
            f"{name} must lie on the scale that is told",
            f"an array that {error}",
            "Correct bits",
            RangeError,
        )
    return reading.to_unit(array)


def as_labels(labels: Any, n: int, *, name: str, problems: Problems) -> NDArray[Any] | None:
    """Labels (n,) as the source gives them.

    integers as int64, everything else as an object array of int, str or None.

    None, NaN and masked entries mean *no label*; whole floats become integers, other floats are
    refused.
    """
    array = _column(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        return problems.instead(
            None,
            f"{name} must have shape (n_images,)",
            f"shape {array.shape}",
            "Pass class numbers or names; for one-hot labels that is labels.argmax(axis=1)",
            ShapeError,
        )
    if len(array) != n:
        return problems.instead(
            None,
            f"{name} must have one entry per image",
            f"{len(array)} for {n} images",
            "Pass one label per image",
            ShapeError,
        )
    if array.dtype.kind in "iub":
        return array.astype(np.int64)
    values = [_plain(value) for value in array.tolist()]
    wrong = [value for value in values if isinstance(value, float)]
    if wrong:
        return problems.instead(
            None,
            f"{name} must be whole numbers or names",
            f"floats such as {wrong[0]}",
            "Pass integers or strings, and None where an image has no label",
            LabelError,
        )
    longest = max((len(value) for value in values if isinstance(value, str)), default=0)
    if longest > _LONGEST_LABEL:
        return problems.instead(
            None,
            f"{name} must be names of at most {_LONGEST_LABEL:,} characters",
            f"one of {longest:,}",
            "Name another column",
            LabelError,
        )
    if values and all(isinstance(value, int) for value in values):
        return np.asarray(values, np.int64)
    return strings(values)


def joined_labels(columns: list[NDArray[Any] | None], lengths: list[int]) -> NDArray[Any] | None:
    """Columns of labels one after the other; None where a part has none."""
    if all(column is None for column in columns):
        return None
    if all(column is not None and column.dtype == np.int64 for column in columns):
        return np.concatenate([column for column in columns if column is not None])
    return strings(
        label
        for column, n in zip(columns, lengths, strict=True)
        for label in ([None] * n if column is None else column.tolist())
    )


def _column(labels: Any) -> NDArray[Any]:
    if isinstance(labels, np.ma.MaskedArray):
        return strings(labels.tolist())  # masked entries become None
    if hasattr(labels, "__array__"):
        return array_of(labels)
    values = list(labels)
    return (
        np.asarray(values)
        if any(isinstance(value, (list, tuple, np.ndarray)) for value in values)
        else strings(values)
    )


def _plain(value: Any) -> Any:
    """A label as int, str or None; as float only if neither whole nor NaN, to be refused."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return None if math.isnan(value) else int(value) if value.is_integer() else value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return int(value)
    return value if value is None or isinstance(value, (str, int)) else str(value)
