"""What a model from outside takes: layout, range, size. Told, read off the model, or refused where it could be either."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from residua._check import Problems
from residua.errors import ShapeError

Layout = Literal["nhwc", "nchw", "flat"]
Values = Literal["unit", "symmetric", "bytes"]
Error = Literal["squared", "absolute", "euclidean", "ssim"]
Origin = Literal["keras", "torch", "onnx", "callable"]
Shape = tuple[int | None, ...]

_CHANNELS = (1, 3)


class Contract(BaseModel):
    """How images go into the model and come out of it.

    ``layout``: (batch, height, width, channels), (batch, channels, height, width) or (batch, height x width x channels).
    ``values``: ``unit`` is [0, 1], ``symmetric`` [-1, 1], ``bytes`` [0, 255]; of what goes in and of what comes out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: Origin
    layout: Layout
    values: Values
    size: tuple[int, int]
    channels: int = Field(ge=1)
    error: Error = "squared"
    batch_size: int = Field(default=64, ge=1)

    def to_model(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Images (n, h, w, c) in [0, 1] as the model takes them."""
        values = {"unit": lambda x: x, "symmetric": lambda x: 2 * x - 1, "bytes": lambda x: 255 * x}[self.values](images)
        if self.layout == "nchw":
            values = np.moveaxis(values, 3, 1)
        if self.layout == "flat":
            values = values.reshape(len(images), -1)
        return np.ascontiguousarray(values, np.float32)

    def from_model(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """What the model made of images as (n, h, w, c), clipped to [0, 1] as in the inference graph."""
        if self.layout == "nchw":
            values = np.moveaxis(values, 1, 3)
        values = np.asarray(values, np.float32).reshape(len(values), *self.size, self.channels)
        unit = {"unit": lambda x: x, "symmetric": lambda x: (x + 1) / 2, "bytes": lambda x: x / 255}[self.values](values)
        return np.ascontiguousarray(np.clip(unit, 0, 1), np.float32)


@dataclass(frozen=True)
class Known:
    """What a model says of itself: how to call it, its input's shape (None where open), and the range its last layer has."""

    origin: Origin
    call: Callable[[NDArray[np.float32]], Any]
    shape: Shape | None = None
    values: Values | None = None
    layout: Layout | None = None
    n_batch: int | None = None


def agree(
    known: Known,
    *,
    layout: Layout | None,
    values: Values | None,
    size: Sequence[int] | None,
    channels: int | None,
    error: Error,
    batch_size: int | None = None,
) -> Contract:
    """The contract, from what was told and what the model says; what is left open or contradicts is refused, all at once.

    Raises
    ------
    ShapeError
        With the option that settles each question.
    """
    problems = Problems("wrap")
    layout = layout or known.layout or _layout_of(known.shape, problems)
    told = None if size is None else (int(size[0]), int(size[1]))
    found_size, found_channels = _extent(known.shape, layout, told)
    size_, channels_ = told or found_size, channels or found_channels
    if size_ is None:
        problems.add("the size of the images must be known", "a model that says none", "Pass size=(height, width)", ShapeError)
    if channels_ is None:
        problems.add(
            "the number of channels must be known", "a model that says none", "Pass channels=1 or channels=3", ShapeError
        )
    fixed = (("size", told, found_size), ("channels", channels, found_channels), ("batch_size", batch_size, known.n_batch))
    for name, one, other in fixed:
        if one is not None and other is not None and one != other:
            problems.add(f"{name} must be the model's", f"{one}, where it says {other}", f"Leave {name} out", ShapeError)
    values = values or known.values
    if values is None:
        problems.add(
            "the range of the values must be known",
            "a model whose last layer does not tell",
            'Pass values="unit" for [0, 1], "symmetric" for [-1, 1] or "bytes" for [0, 255]',
            ShapeError,
        )
    if batch_size is not None and batch_size < 1:
        problems.add("batch_size must be at least 1", str(batch_size), "Pass batch_size=1, or leave it out", ShapeError)
    problems.raise_any()
    return Contract.model_validate(
        {
            "origin": known.origin,
            "layout": layout,
            "values": values,
            "size": size_,
            "channels": channels_,
            "error": error,
            "batch_size": known.n_batch or batch_size or 64,
        }
    )


def _layout_of(shape: Shape | None, problems: Problems) -> Layout:
    if shape is not None and len(shape) == 2:
        return "flat"
    last, first = (False, False) if shape is None or len(shape) != 4 else (shape[3] in _CHANNELS, shape[1] in _CHANNELS)
    if last == first:
        got = (
            "a model that says no shape" if shape is None else f"an input of {shape}, which may be either" if last else f"{shape}"
        )
        problems.add(
            "the layout must be known", got, 'Pass layout="nhwc" (channels last), "nchw" (channels first) or "flat"', ShapeError
        )
    return "nchw" if first and not last else "nhwc"


def _extent(shape: Shape | None, layout: Layout, size: tuple[int, int] | None) -> tuple[tuple[int, int] | None, int | None]:
    """Height and width, and channels, as far as the input's shape tells."""
    if shape is None:
        return None, None
    if layout == "flat":
        n = shape[-1]
        if n is None or size is None or n % (size[0] * size[1]):
            return None, None
        return size, n // (size[0] * size[1])
    height, width, channels = (shape[1], shape[2], shape[3]) if layout == "nhwc" else (shape[2], shape[3], shape[1])
    return (None if height is None or width is None else (height, width)), channels
