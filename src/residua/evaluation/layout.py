"""Where images, rows, columns and channels lie in an array: read from its shape, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import ShapeError
from residua.records import Assumption

_CHANNELS = (1, 3)
_MOST_CHANNELS = 4
_TO_TELL = "an array with images first and channels last"


def channels_last(
    array: NDArray[Any], name: str, problems: Problems
) -> tuple[NDArray[Any], list[Assumption]]:
    """`array` as (n_images, height, width, channels); flat images keep a height of 1.

    A shape that can be read in two ways is noted in `problems`.
    """
    if array.ndim == 2 and array.shape[1] > _MOST_CHANNELS - 1:
        _refuse_one_picture(array, name, problems)
        return array[:, np.newaxis, :, np.newaxis], []
    if array.ndim == 3:
        return _three_axes(array, name, problems)
    if array.ndim == 4 and 0 not in array.shape[1:]:
        return _four_axes(array, name, problems)
    return problems.instead(
        (np.zeros((0, 1, 1, 1)), []),
        f"{name} must have shape (n_images, height, width[, channels]) or (n_images, n_pixels)",
        f"shape {array.shape}",
        _mend(array),
        ShapeError,
    )


def _mend(array: NDArray[Any]) -> str:
    if array.ndim == 5:
        return "Turn videos into frames: reshape(-1, height, width, channels)"
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] < _MOST_CHANNELS):
        return "Put images first and channels last; a history of losses is not a set of images"
    return "Put images first and channels last"


def _three_axes(
    array: NDArray[Any], name: str, problems: Problems
) -> tuple[NDArray[Any], list[Assumption]]:
    n, height, width = array.shape
    if 0 in (height, width):
        return problems.instead(
            (np.zeros((0, 1, 1, 1)), []),
            f"{name} must have shape (n_images, height, width[, channels])",
            f"shape {array.shape}",
            "Put images first and channels last",
            ShapeError,
        )
    if width == 3 and min(n, height) > _MOST_CHANNELS:
        problems.add(
            f"{name} must have an axis of images",
            f"shape {array.shape}: one colour picture, or {n} images of {height} x {width}",
            "Pass one picture as array[None]",
            ShapeError,
        )
    if width == 1 and height > 1:
        taken = f"{n} flat images of {height} pixels"
        told = _assumption(name, taken, f"shape {array.shape}: images of one column")
        return array.reshape(n, 1, height, 1), [told]
    return array[..., np.newaxis], []


def _four_axes(
    array: NDArray[Any], name: str, problems: Problems
) -> tuple[NDArray[Any], list[Assumption]]:
    _, first, middle, last = array.shape
    readings = [_is_channels(first), _is_channels(last)]
    if readings == [True, True] and first * last > 1:
        readings = [first in _CHANNELS and middle == last, last in _CHANNELS and first == middle]
        if readings[0] == readings[1]:
            got = (
                f"shape {array.shape}: {first} channels of {middle} x {last}, or {last} channels of"
                f" {first} x {middle}"
            )
            mend = "Move the channels to the end and see that height and width exceed 4"
            problems.add(f"{name} must show where the channels are", got, mend, ShapeError)
    if _is_channels(middle) and not any(readings):
        got = f"shape {array.shape}: {middle} channels in the third axis"
        mend = (
            "Put images first and channels last: np.moveaxis(array, 3, 0) for (height, width,"
            " channels, images)"
        )
        problems.add(
            f"{name} must have channels in their second or last axis", got, mend, ShapeError
        )
    if readings == [False, False]:
        readings = [middle == last != first, False]
    if readings == [True, False]:
        taken = f"channels first: {first} channels of {middle} x {last}"
        return np.moveaxis(array, 1, 3), [_assumption(name, taken, f"shape {array.shape}")]
    return array, []


def _is_channels(n: int) -> bool:
    return n <= _MOST_CHANNELS


def _assumption(name: str, taken: str, because: str) -> Assumption:
    return Assumption(about=f"layout of {name}", taken=taken, because=because, to_tell=_TO_TELL)


def without_opaque_alpha(array: NDArray[Any], name: str) -> tuple[NDArray[Any], list[Assumption]]:
    """Colour without an opaque fourth channel, which would take a quarter of every mean."""
    if array.shape[3] != 4 or array.size == 0:
        return array, []
    alpha = array[..., 3]
    if (
        alpha.min() != alpha.max()
        or not np.isin(alpha.flat[0], (255, 65535) if array.dtype.kind in "iu" else (1, 255))
        or array[..., :3].min() == array[..., :3].max()
    ):
        return array, []
    because = f"four channels, of which the last is {alpha.flat[0]:g} everywhere"
    return array[..., :3], [_assumption(name, "three channels, without transparency", because)]


def _refuse_one_picture(array: NDArray[Any], name: str, problems: Problems) -> None:
    """A matrix as smooth as a picture, and of no size that flat images have, is a picture."""
    n, width = array.shape
    could_be_flat = n != width and any(
        float(np.sqrt(size)).is_integer() for size in (width, width / 3)
    )
    if could_be_flat or not 16 <= min(n, width) <= max(n, width) <= 8192:
        return
    values = array[:512, :512].astype(np.float64)
    spread = 2 * float(values.var())
    along = [float(np.square(np.diff(values, axis=axis)).mean()) for axis in (0, 1)]
    if spread > 0 and max(along) < 0.2 * spread:
        problems.add(
            f"{name} must have an axis of images",
            f"shape {array.shape}, smooth from row to row: one picture",
            "Pass one picture as array[None]",
            ShapeError,
        )


def matched(
    x: NDArray[Any], r: NDArray[Any], problems: Problems
) -> tuple[NDArray[Any], NDArray[Any], list[Assumption]]:
    """Both at one shape: flat images take that of whole ones, where one order of values fits."""
    if problems or x.shape == r.shape or len(x) != len(r):
        _refuse_different(x, r, problems)
        return x, r, []
    if x.shape[1] == 1 and x[0].size == r[0].size:
        new, told = _unflattened(x, r, "images", problems)
        return new, r, told
    if r.shape[1] == 1 and x[0].size == r[0].size:
        new, told = _unflattened(r, x, "reconstructions", problems)
        return x, new, told
    _refuse_different(x, r, problems)
    return x, r, []


def _refuse_different(x: NDArray[Any], r: NDArray[Any], problems: Problems) -> None:
    if problems or x.shape == r.shape:
        return
    swapped = (x.shape[0], x.shape[2], x.shape[1], x.shape[3]) == r.shape
    mend = (
        "Swap their axes 1 and 2"
        if swapped
        else "Pass one reconstruction per image, of the same size"
    )
    problems.add(
        "images and reconstructions must have the same shape",
        f"{x.shape} and {r.shape}",
        mend,
        ShapeError,
    )


def _unflattened(
    flat: NDArray[Any], whole: NDArray[Any], name: str, problems: Problems
) -> tuple[NDArray[Any], list[Assumption]]:
    """Flat images in the shape of whole ones: rows first, or the order that resembles more."""
    n, height, width, channels = whole.shape
    as_last = flat.reshape(whole.shape)
    if channels == 1 or n == 0:
        return as_last, [
            _assumption(name, f"{height} x {width}", "flat, beside images of that size")
        ]
    as_first = np.moveaxis(flat.reshape(n, channels, height, width), 1, 3)
    last, first = (_likeness(order, whole) for order in (as_last, as_first))
    if max(last, first) < 0.5 or abs(last - first) < 0.1:
        return problems.instead(
            (as_last, []),
            f"{name} must show whether channels come first or last",
            "flat values that resemble the other side as little either way",
            "Reshape them to (n_images, height, width, channels)",
            ShapeError,
        )
    order = "channels last" if last > first else "channels first"
    because = f"flat, and in that order like the other side (correlation {max(last, first):.2f})"
    return (as_last if last > first else as_first), [
        _assumption(name, f"{height} x {width}, {order}", because)
    ]


def _likeness(a: NDArray[Any], b: NDArray[Any]) -> float:
    step = max(1, a.size >> 20)
    x, y = (each[::step].reshape(-1).astype(np.float64) for each in (a, b))
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / scale if scale else 0.0
