"""The part of an image that counts: a region of interest, stored as a small mask of plain data."""

from __future__ import annotations

import base64
import json
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydantic import Field, model_validator

from residua._files import in_a_line, read_file
from residua.errors import InputError
from residua.images.decoding import decode
from residua.images.masks import LOSSY
from residua.records import Record

_WHERE = "region"
_LONGEST_SIDE = 1024  # pixels of the stored mask
_MOST_BYTES = 64 * 2**20
_MOST_PIXELS = 100_000_000
_NOISE = 16  # of 255: what compression makes of black
_FORM = (
    'Name an image, or a JSON file such as {"width": 1, "height": 1, "polygons": [[[0.1, 0.1],'
    " [0.9, 0.1], [0.5, 0.8]]]}"
)


class Region(Record):
    """Where a model looks; outside it nothing counts.

    The mask is stored at no more than 1,024 pixels a side, and scales with each image: a pixel
    counts if the pixel of the mask at the same share of height and width does. All pixels count of
    an image so small that none would. ``bits`` are the mask's rows, eight pixels a byte, compressed
    and in base 64.

    >>> region = Region.of_mask(np.array([[0, 1], [0, 1]]))
    >>> region.mask(2, 4).astype(int)
    array([[0, 0, 1, 1],
           [0, 0, 1, 1]])
    >>> region.share
    0.5
    """

    height: int = Field(ge=1, le=_LONGEST_SIDE)
    width: int = Field(ge=1, le=_LONGEST_SIDE)
    bits: str = Field(max_length=2**18)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        try:
            _unpacked(self.height, self.width, self.bits)
        except (ValueError, zlib.error) as error:
            raise ValueError(f"region: the stored mask must be whole. Got: {error}") from None
        return self

    @classmethod
    def of_mask(cls, mask: NDArray[Any]) -> Self:
        """The region of a mask, (height, width): what is not zero counts."""
        inside = np.asarray(mask) != 0
        if inside.ndim != 2 or not inside.size:
            raise InputError(
                f"{_WHERE}: a mask must have shape (height, width). Got shape {inside.shape}. Pass"
                " one mask for all images."
            )
        share = min(1.0, _LONGEST_SIDE / max(inside.shape))
        height, width = (max(1, round(side * share)) for side in inside.shape)
        small = inside[np.ix_(_under(height, len(inside)), _under(width, inside.shape[1]))]
        if not small.any():
            raise InputError(
                f"{_WHERE}: some pixel must lie inside it. Got none. Paint what counts in any"
                " colour but black."
            )
        bits = base64.b64encode(zlib.compress(np.packbits(small).tobytes(), 9)).decode()
        return cls(height=height, width=width, bits=bits)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The region in a file: a mask image, or JSON with polygons.

        JSON holds ``polygons``, a list of lists of points ``[x, y]``, and ``width`` and ``height``
        of the picture that they were drawn on. Left out, these are 1, so that points are shares.
        Raises InputError if the file holds neither, or nothing is inside.
        """
        try:
            data = read_file(path, _MOST_BYTES)
            mask = _drawn(json.loads(data)) if data.lstrip()[:1] == b"{" else _painted(data)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                f"{path}: must hold a region. Got {in_a_line(error)}. {_FORM}."
            ) from None
        return cls.of_mask(mask)

    @property
    def share(self) -> float:
        """The share of the picture that counts."""
        return float(_unpacked(self.height, self.width, self.bits).mean())

    def mask(
        self, height: int, width: int, rows: slice | None = None, columns: slice | None = None
    ) -> NDArray[np.bool_]:
        """Which pixels of an image of this size count, bool (height, width).

        With `rows` and `columns`, those of that part of the image alone.
        """
        down = _under(height, self.height)[rows or slice(None)]
        across = _under(width, self.width)[columns or slice(None)]
        if not _is_met(self.height, self.width, self.bits, height, width):
            return np.ones((len(down), len(across)), np.bool_)
        return _unpacked(self.height, self.width, self.bits)[np.ix_(down, across)]

    def extent(self, height: int, width: int) -> tuple[slice, slice]:
        """The rows and columns of an image of this size that hold the region."""
        if not _is_met(self.height, self.width, self.bits, height, width):
            return slice(0, height), slice(0, width)
        inside = _unpacked(self.height, self.width, self.bits)
        rows = np.flatnonzero(inside.max(1)[_under(height, self.height)])
        columns = np.flatnonzero(inside.max(0)[_under(width, self.width)])
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _under(n_out: int, n_in: int) -> NDArray[np.int64]:
    """The pixel of one side that lies under the middle of each pixel of another, (n_out,)."""
    return ((2 * np.arange(n_out) + 1) * n_in) // (2 * n_out)


@lru_cache(maxsize=8)
def _unpacked(height: int, width: int, bits: str) -> NDArray[np.bool_]:
    n_bytes = -(-height * width // 8)
    data = zlib.decompressobj().decompress(base64.b64decode(bits, validate=True), n_bytes + 1)
    if len(data) != n_bytes:
        raise ValueError(f"{len(data)} bytes for {height} x {width} pixels")
    flat = np.unpackbits(np.frombuffer(data, np.uint8), count=height * width)
    return flat.reshape(height, width).astype(np.bool_)


@lru_cache(maxsize=64)
def _is_met(n_rows: int, n_columns: int, bits: str, height: int, width: int) -> bool:
    """Whether an image of this size has a pixel inside; one as large as the mask has."""
    if height >= n_rows and width >= n_columns:
        return True
    inside = _unpacked(n_rows, n_columns, bits)
    return bool(inside[np.ix_(_under(height, n_rows), _under(width, n_columns))].any())


def _painted(data: bytes) -> NDArray[Any]:
    """The mask in an image: what is not black, beyond the noise of lossy formats."""
    decoded = decode(data, _MOST_PIXELS)
    brightest = decoded.pixels.max(axis=2)
    return np.asarray(brightest > (_NOISE if decoded.format in LOSSY else 0))


def _drawn(told: Any) -> NDArray[np.uint8]:
    """The polygons of a JSON file as a mask."""
    width, height = (float(told.get(name, 1)) for name in ("width", "height"))
    scale = _LONGEST_SIDE / max(width, height)
    if not (np.isfinite(scale) and min(width, height) * scale >= 1):
        raise ValueError(f"a picture of {width:g} x {height:g}")
    canvas = Image.new("L", (round(width * scale), round(height * scale)))
    for polygon in told["polygons"]:
        points = np.asarray(polygon, np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
            raise ValueError(f"a polygon of shape {points.shape}, where (n_points >= 3, 2) holds")
        if not ((points >= 0) & (points <= (width, height))).all():
            raise ValueError(f"a point outside the picture of {width:g} x {height:g}")
        # Pillow paints the pixels that a line touches; the middle of pixel 0 is at 0 there.
        ImageDraw.Draw(canvas).polygon(
            [tuple(point) for point in (points * scale - 0.5).tolist()], fill=1
        )
    return np.asarray(canvas)
