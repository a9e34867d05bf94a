"""Whether a picture looks like a mask: few distinct values, one of which is most of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.errors import ImageError
from residua.images.decoding import open_encoded, upright
from residua.images.listing import Options
from residua.images.stores import Store

_MOST_SIDE = 1024
_FEW_VALUES = 8
_SHARE_OF_FEW = 0.9
_SHARE_OF_GROUND = 0.4
_SAME = 1.5  # grey levels of 255, on average over 16 x 16 cells
_FRINGE = 24  # how far JPEG moves black and white


class Glance(NamedTuple):
    """What was seen of a picture."""

    size: tuple[int, int]
    is_mask: bool


def glance_at(store: Store, name: str, options: Options) -> Glance | None:
    """What a file looks like as it lies there, whatever its transparency or palette; None where it does not decode."""
    try:
        pixels = open_encoded(store.read(name, options.byte_limit), options.pixel_limit, _values)
    except ImageError:
        return None
    step = max(1, min(pixels.shape[:2]) // _MOST_SIDE)
    return Glance((pixels.shape[0], pixels.shape[1]), _is_mask(pixels[::step, ::step].reshape(-1, pixels.shape[2])))


def same_picture(store: Store, first: str, second: str, *, options: Options) -> bool:
    """Whether two files show one picture, but for size, colour and compression."""
    try:
        small = [open_encoded(store.read(name, options.byte_limit), options.pixel_limit, _small) for name in (first, second)]
    except ImageError:
        return False
    return bool(np.abs(small[0] - small[1]).mean() < _SAME)


def _small(image: Image.Image) -> NDArray[Any]:
    return np.asarray(image.convert("L").resize((16, 16), Image.Resampling.BOX), float)


def _values(image: Image.Image) -> NDArray[Any]:
    """The pixels, colour and transparency as they are; (h, w, 1 or 4)."""
    plain = image.mode in {"1", "L", "I", "F"} or image.mode.startswith("I;16")
    pixels = np.asarray(image if plain else image.convert("RGBA"))
    return upright(image, pixels if pixels.ndim == 3 else pixels[..., np.newaxis])


def _is_mask(pixels: NDArray[Any]) -> bool:
    """A mask, of any colours and either way round, also as JPEG leaves two colours."""
    found, counts = np.unique(_packed(pixels), return_counts=True)
    if counts.max() < _SHARE_OF_GROUND * len(pixels):
        return False
    if np.sort(counts)[-_FEW_VALUES:].sum() >= _SHARE_OF_FEW * len(pixels):
        return True
    if pixels.dtype != np.uint8:
        return False
    colours = found[:, np.newaxis].view(np.uint8).astype(np.int16)
    ground = _near(colours, int(counts.argmax()))
    drawn = _near(colours, int(np.where(ground, 0, counts).argmax()))
    return bool(counts[ground | drawn].sum() >= _SHARE_OF_FEW * len(pixels))


def _packed(pixels: NDArray[Any]) -> NDArray[Any]:
    """A number a pixel."""
    return pixels[:, 0] if pixels.shape[1] == 1 else np.ascontiguousarray(pixels).view(np.uint32)[:, 0]


def _near(colours: NDArray[np.int16], row: int) -> NDArray[np.bool_]:
    return np.asarray((np.abs(colours - colours[row]) <= _FRINGE).all(axis=1))
