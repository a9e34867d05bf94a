"""Arrays (n, h, w) or (n, h, w, c) and tensors (n, c, h, w), of any library that NumPy reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from residua._check import Problems, array_of, is_tensor
from residua.errors import ShapeError
from residua.images.arrays import as_pixels, settle_arrays
from residua.images.columns import texts
from residua.images.listing import Listing, Options
from residua.images.objects.items import FIRST, channels_last, eight_bits
from residua.images.objects.sequences import read as read_sequence


def recognises(thing: Any) -> bool:
    """Arrays of numbers, and whatever says how it becomes one."""
    return is_tensor(thing) or (hasattr(thing, "__array__") and hasattr(thing, "dtype"))


def read(thing: Any, options: Options) -> Listing:
    """All images of one array, which stays as it is where it is uint8 or float32."""
    array = array_of(thing)
    if array.dtype == object:
        return read_sequence(list(array), options)
    name = "tensor" if is_tensor(thing) else "array"
    if array.ndim not in {3, 4}:
        hint = f" The one image is {name}[None]." if array.ndim == 2 else ""
        raise ShapeError(
            f"load_images: images must have shape (n, height, width) or (n, height, width,"
            f" channels). Got {array.shape}. Reshape them.{hint}"
        )
    told = []
    if array.ndim == 4 and len(array):
        array, was_moved = channels_last(array, "load_images: images", torch=is_tensor(thing))
        told = [FIRST] * was_moved
    problems = Problems("load_images")
    reading, assumed = settle_arrays(
        [array], options.reading, model=options.of_model, where="load_images"
    )
    pixels = as_pixels(array, name="images", problems=problems, reading=reading)
    problems.raise_any()
    if is_tensor(thing) and pixels.dtype == np.float32:
        pixels = eight_bits(pixels)
    return Listing(
        kind=name,
        names=texts(f"{name}[{row}]" for row in range(len(pixels))),
        content=np.ascontiguousarray(pixels),
        assumptions=[*told, *assumed],
        reading=reading,
    )
