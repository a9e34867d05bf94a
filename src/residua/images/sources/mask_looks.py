"""Whether files look like masks: few distinct values, one of which is most of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.errors import ImageError
from residua.images.decoding import open_encoded, upright
from residua.images.listing import Options
from residua.images.masks import LOSSY, fits
from residua.images.sources.walking import FoundImages
from residua.images.stores import Store

_MOST_SIDE = 1024  # pixels; of larger pictures every second, third, ... counts
_FEW_VALUES = 16  # values that a mask has, or that hold most of its paint
_SHARE_OF_GROUND = 0.4  # of the pixels, at least
_SHARE_OF_PAINT = 0.6  # of what is not ground, the share that a few values hold
_SAME = 1.5  # grey levels of 255, on average over 16 x 16 cells
_FRINGE = 24  # how far compression moves two colours, mostly
_SHARE_OF_FRINGE = 0.2  # of the pixels, at most
_ALMOST_ALL, _SHARE_OF_BLANK = 0.95, 0.7
_FLAT = 8  # grey levels
_SHARE_OF_AREAS = 0.8  # of neighbours, those of one value


class Glance(NamedTuple):
    """What was seen of a picture; if ``is_drawn``, it has several areas of one value each."""

    size: tuple[int, int]
    is_mask: bool
    is_drawn: bool


def glance_at(store: Store, name: str, options: Options) -> Glance | None:
    """A file as it lies, whatever its transparency or palette; None if it does not decode."""
    try:
        pixels, is_lossy = open_encoded(
            store.read(name, options.byte_limit), options.pixel_limit, _values
        )
    except ImageError:
        return None
    step = max(1, min(pixels.shape[:2]) // _MOST_SIDE)
    few = pixels[::step, ::step]
    is_mask = _is_mask(few.reshape(-1, few.shape[2]), is_lossy=is_lossy)
    return Glance((pixels.shape[0], pixels.shape[1]), is_mask, is_mask and _is_drawn(few))


def same_picture(store: Store, first: str, second: str, *, options: Options) -> bool:
    """Whether two files show one picture, but for size, colour and compression."""
    try:
        small = [
            open_encoded(store.read(name, options.byte_limit), options.pixel_limit, _small)
            for name in (first, second)
        ]
    except ImageError:
        return False
    return bool(np.abs(small[0] - small[1]).mean() < _SAME)


def _small(image: Image.Image) -> NDArray[Any]:
    return np.asarray(image.convert("L").resize((16, 16), Image.Resampling.BOX), float)


def _values(image: Image.Image) -> tuple[NDArray[Any], bool]:
    """The pixels (h, w, 1 or 4) as they are, and whether compression was lossy."""
    is_lossy = image.format in LOSSY
    plain = image.mode in {"1", "L", "I", "F"} or image.mode.startswith("I;16")
    pixels = np.asarray(image if plain else image.convert("RGBA"))
    return upright(image, pixels if pixels.ndim == 3 else pixels[..., np.newaxis]), is_lossy


def _is_mask(pixels: NDArray[Any], *, is_lossy: bool) -> bool:
    """Whether one value is most of a picture, and few are the rest, as in no photograph."""
    found, counts = np.unique(_packed(pixels), return_counts=True)
    if counts.max() < _SHARE_OF_GROUND * len(pixels):
        return False
    if len(found) <= _FEW_VALUES:
        return True
    if is_lossy and pixels.dtype == np.uint8:
        return _is_lossy_mask(found[:, np.newaxis].view(np.uint8).astype(np.int16), counts)
    rest = np.sort(counts)[:-1]
    return bool(rest[-_FEW_VALUES:].sum() >= _SHARE_OF_PAINT * rest.sum())


def _is_drawn(pixels: NDArray[Any]) -> bool:
    alike = (pixels[:, 1:] == pixels[:, :-1]).all(axis=2)
    return bool(alike.size and alike.mean() >= _SHARE_OF_AREAS and (pixels != pixels[:1, :1]).any())


def _is_lossy_mask(colours: NDArray[np.int16], counts: NDArray[np.int64]) -> bool:
    """Ground and paint with fringes; paint is flat, or both are black, white or pure."""
    ground = _near(colours, int(counts.argmax()), _FRINGE)
    is_flat = counts.max() >= _SHARE_OF_BLANK * counts.sum()
    if ground.all() or (is_flat and counts[ground].sum() >= _ALMOST_ALL * counts.sum()):
        return bool(is_flat)  # blank, or with so little paint that it is all fringe
    at = int(np.where(ground, 0, counts).argmax())
    paint = _near(colours, at, _FRINGE)
    if counts[ground | paint].sum() < (1 - _SHARE_OF_FRINGE) * counts.sum():
        return False
    ends = colours[[int(counts.argmax()), at]]
    flat = counts[_near(colours, at, _FLAT)].sum() >= _SHARE_OF_PAINT * counts[~ground].sum()
    return bool((np.minimum(ends, 255 - ends) <= _FLAT).all() or flat)


def _packed(pixels: NDArray[Any]) -> NDArray[Any]:
    """A number a pixel."""
    return (
        pixels[:, 0] if pixels.shape[1] == 1 else np.ascontiguousarray(pixels).view(np.uint32)[:, 0]
    )


def _near(colours: NDArray[np.int16], row: int, far: int) -> NDArray[np.bool_]:
    return np.asarray((np.abs(colours - colours[row]) <= far).all(axis=1))


_Any = TypeVar("_Any")

SAMPLES = 12  # files that are looked at in each group
_MOST = 0.8  # of the samples of a name that may be a class's


class Samples:
    """Looks at some of the files found; `is_image` says which are images so far."""

    def __init__(self, found: FoundImages, options: Options, is_image: NDArray[np.bool_]) -> None:
        self._found, self._options, self._is_image = found, options, is_image
        self._names = found.names

    def look_like_masks(self, rows: list[int], images: dict[int, int], *, sure: bool) -> bool:
        """Whether most samples do; doubtful names also need other-looking images as large."""
        sample = evenly([row for row in rows if row in images] or rows)
        looks = {row: look for row in sample if (look := self._look(row)) is not None}
        like = [row for row, look in looks.items() if look.is_mask]
        if len(like) < (0.5 if sure else _MOST) * len(looks):
            return False
        if not looks:  # nothing there decodes, so that the name alone counts
            return sure
        if sure and images:
            return True
        others = [images[row] for row in like if row in images] or evenly(
            np.flatnonzero(self._is_image).tolist()
        )
        pictures = [look for row in others if (look := self._look(row)) is not None]
        if sum(look.is_mask for look in pictures) > 0.5 * len(pictures):
            return False
        return self._as_large(like, images, looks)

    def _as_large(self, rows: list[int], images: dict[int, int], looks: dict[int, Glance]) -> bool:
        pairs = [(looks[row], self._look(images[row])) for row in rows if row in images]
        fit = [fits(mask.size, image.size) for mask, image in pairs if image is not None]
        return sum(fit) >= 0.5 * len(fit)

    def _look(self, row: int) -> Glance | None:
        return glance_at(self._found.store, self._found.real(row, self._names[row]), self._options)

    def look_drawn(self, rows: list[int]) -> bool:
        """Whether a first look at one, and then at some, shows drawings."""
        first = self._look(rows[len(rows) // 2])
        if first is None or not first.is_mask:
            return False
        looks = [look for row in evenly(rows) if (look := self._look(row)) is not None]
        return sum(look.is_drawn for look in looks) > len(looks) / 3


def evenly(rows: Sequence[_Any], most: int = SAMPLES) -> list[_Any]:
    """At most so many of them, from the first to the last."""
    return (
        list(rows)
        if len(rows) <= most
        else [rows[at] for at in np.linspace(0, len(rows) - 1, most).astype(int).tolist()]
    )
