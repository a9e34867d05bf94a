"""How the values of a source become brightness.

What a file leaves open is told, or recognised over the whole set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from residua.errors import ImageError, RangeError, SourceError
from residua.records import Assumption, Record

Ground = Literal["black", "white", "grey"]
GROUNDS: dict[Ground, float] = {"black": 0.0, "white": 1.0, "grey": 0.5}

_CAMERAS = (8, 10, 12, 14)  # bits that are stored in 16
_FEWEST = 4  # images; of fewer the brightest value says too little
_TOO_FAR = 4  # bits: sixteen times darker
_NEAR = 0.1  # ink nearer to its ground than this is not seen


class Reading(Record):
    """How a source was read, so that other images are read alike; stored with a model.

    Attributes
    ----------
    bits : int or None
        Whole numbers in containers that hold more are divided by 2**bits - 1. None: by the largest
        value of the container. What a file declares itself comes first, and floats are in [0, 1]
        always.
    ground : str or None
        What lies under transparent pixels: ``black``, ``white`` or ``grey``. None: no image was
        transparent.
    """

    bits: int | None = Field(default=None, ge=1, le=32)
    ground: Ground | None = None

    def largest(self, dtype: np.dtype[Any]) -> int:
        """The value of `dtype` that means 1.0.

        >>> (
        ...     Reading(bits=12).largest(np.dtype(np.uint16)),
        ...     Reading(bits=12).largest(np.dtype(np.uint8)),
        ... )
        (4095, 255)
        """
        if dtype.kind == "f":
            return 1
        most = int(np.iinfo(dtype).max)
        return most if self.bits is None else min(most, 2**self.bits - 1)

    def check(self, pixels: NDArray[Any]) -> None:
        """Refuse values that the scale does not hold, instead of cutting them.

        Raises ImageError with the range that was seen and how to tell another one.
        """
        if pixels.dtype == np.int32 and self.bits is None:
            raise ImageError(
                "holds signed or 32-bit integers: what the largest possible value is, the file does"
                " not say; state it with --bits"
            )
        low, high = (0, 0) if pixels.size == 0 else (pixels.min(), pixels.max())
        if pixels.dtype.kind in "iu" and (low < 0 or high > self.largest(pixels.dtype)):
            raise ImageError(
                f"holds values from {low:,} to {high:,}, where {self.bits} bits hold 0 to"
                f" {self.largest(pixels.dtype):,}; state the right number with --bits"
            )

    def to_unit(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Values as float32 in [0, 1]; those that `check` lets pass."""
        return np.asarray(
            pixels.astype(np.float32) / np.float32(self.largest(pixels.dtype)), np.float32
        )

    def is_scaled(self, dtype: np.dtype[Any]) -> bool:
        """Whether values of `dtype` are not the bytes that a set of 8 bits holds."""
        return dtype != np.uint8 or self.largest(dtype) != 255


AS_IT_SAYS = Reading()
"""What a file leaves open is left open."""


@dataclass
class ReadingTally:
    """What a set shows of what its files leave open: `add` each image, then `settle`."""

    n_wide: int = 0
    highest: int = 0
    n_transparent: int = 0
    vanished: Counter[str] = field(default_factory=Counter)

    def add(self, highest: int | None, ink: dict[Ground, float] | None) -> None:
        """Take what was seen of one image.

        The largest value of whole numbers beyond 8 bits, and how far ink stands off each ground.
        """
        if highest is not None:
            self.add_wide(1, highest)
        if ink is not None:
            self.n_transparent += 1
            self.vanished.update(ground for ground, distance in ink.items() if distance < _NEAR)

    def add_wide(self, n_images: int, highest: int) -> None:
        """Take images of whole numbers beyond 8 bits."""
        self.n_wide += n_images
        self.highest = max(self.highest, highest)

    def settle(
        self, told: Reading, *, model: bool = False, where: str = "load_images"
    ) -> tuple[Reading, tuple[Assumption, ...]]:
        """What was not told, taken from what was seen, and the assumptions that this makes.

        Raises SourceError if `told` is how a `model` takes images, and these lie on another scale.

        >>> ReadingTally(n_wide=20, highest=4071).settle(Reading())[0].bits
        12
        >>> ReadingTally(n_wide=20, highest=40710).settle(Reading())[0].bits
        16
        """
        bits: int | None = told.bits
        if model and self.n_wide:  # a guess from these images would depend on how many they are
            bits = 16 if bits is None else bits
            self._check_scale(bits, where)
        made = []
        ground: Ground | None = told.ground
        if bits is None and self.n_wide:
            bits = recognised_bits(self.highest, self.n_wide)
            if bits != 16:
                made.append(bits_assumption(bits, self.highest, self.n_wide))
        if ground is None and self.n_transparent:
            # Of equals the first: black.
            fewest = min(GROUNDS, key=lambda ground: self.vanished[ground])
            made.append(self._ground_assumption(fewest))
            ground = fewest
        return Reading(bits=bits, ground=ground), tuple(made)

    def _check_scale(self, bits: int, where: str) -> None:
        """Refuse a set that is 16 times darker than the model's scale and ends at a camera's."""
        found = recognised_bits(self.highest, self.n_wide)
        if bits - found >= _TOO_FAR:
            raise SourceError(
                f"{where}: images must be on the scale of the model's, {bits} bits. Got"
                f" {self.n_wide:,} images that end at {self.highest:,}, as {found} bits do. Tell"
                f" their bits: --bits {found}, or --bits {bits} if they are that dark."
            )

    def _ground_assumption(self, ground: Ground) -> Assumption:
        on_black = self.vanished["black"]
        because = (
            f"{self.n_transparent:,} images are transparent, and what they show stands off black"
            if ground == "black"
            else (
                f"of {self.n_transparent:,} transparent images {on_black:,} vanish on black,"
                f" {self.vanished[ground]:,} here"
            )
        )
        return Assumption(
            about="ground under transparency",
            taken=ground,
            because=because,
            to_tell="store the images without transparency",
        )


def common_type(dtypes: Iterable[np.dtype[Any]], reading: Reading) -> np.dtype[Any]:
    """uint8 where all images are bytes of the whole range, else float32."""
    return np.dtype(np.float32 if any(reading.is_scaled(dtype) for dtype in dtypes) else np.uint8)


def recognised_bits(highest: int, n_images: int) -> int:
    """The bits of numbers up to `highest`: 8, 10, 12 or 14 if they fill over half, else 16.

    >>> [recognised_bits(highest, 20) for highest in (255, 1023, 1500, 4095, 16383, 40000)]
    [8, 10, 16, 12, 14, 16]
    """
    fitting = next((bits for bits in _CAMERAS if highest < 2**bits), 16)
    return fitting if n_images >= _FEWEST and highest >= 2 ** (fitting - 1) else 16


def bits_assumption(bits: int, highest: int, n_images: int) -> Assumption:
    """What was taken for the bits of a set."""
    return Assumption(
        about="bits",
        taken=str(bits),
        because=(
            f"of the range of 16 bits the {n_images:,} images use 0 to {highest:,}, and {bits} bits"
            f" end at {2**bits - 1:,}"
        ),
        to_tell="--bits N, bits=",
    )


def reading_of(bits: int | None, like: Reading | None, *, where: str) -> Reading:
    """How to read a set: as `like` was read, but for `bits` where they are told.

    Raises RangeError if `bits` are none that numbers have.
    """
    if bits is not None and not 1 <= bits <= 32:
        raise RangeError(
            f"{where}: bits must be 1 to 32. Got {bits}. Pass those of the camera, such as 12."
        )
    like = like or Reading()
    return like if bits is None else Reading(bits=bits, ground=like.ground)


def on_ground(pixels: NDArray[Any], opacity: NDArray[Any], ground: Ground) -> NDArray[Any]:
    """What is seen of values with `opacity` over a ground, in the type they have.

    Values are (..., h, w, c), `opacity` (..., h, w) in [0, 1].

    >>> on_ground(np.full((1, 2, 1), 200, np.uint8), np.array([[1.0, 0.5]]), "white").ravel()
    array([200, 228], dtype=uint8)
    """
    share = opacity[..., np.newaxis].astype(np.float32)
    laid = pixels * share + np.float32(GROUNDS[ground] * _white(pixels)) * (1 - share)
    return np.asarray(laid if pixels.dtype.kind == "f" else np.rint(laid), pixels.dtype)


def ink_of(pixels: NDArray[Any], opacity: NDArray[Any]) -> dict[Ground, float] | None:
    """How far what an image (h, w, c) draws stands off each ground; None where nothing is.

    >>> ink_of(np.zeros((1, 2, 1), np.uint8), np.array([[1.0, 0.0]]))
    {'black': 0.0, 'white': 1.0, 'grey': 0.5}
    """
    drawn = float(opacity.sum())
    if drawn == 0:
        return None
    shades = pixels.astype(np.float32) / np.float32(_white(pixels))
    return {
        name: float((np.abs(shades - value).max(axis=-1) * opacity).sum()) / drawn
        for name, value in GROUNDS.items()
    }


def _white(pixels: NDArray[Any]) -> float:
    return 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
