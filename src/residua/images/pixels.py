"""Where the pixels of a set lie: in one array, or in encoded files that were all decoded once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from residua.errors import ImageError
from residua.images.decoding import decode, quiet_pillow
from residua.images.hashing import pixel_hash, row_byte_hashes, row_pixel_hashes
from residua.images.listing import Encoded

WORKERS = min(8, os.cpu_count() or 1)


class Pixels(Protocol):
    """The pixels of every image of a source; (h, w, c), all of one dtype and number of channels, read-only."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of every image."""
        ...

    @property
    def channels(self) -> int:
        """The number of channels of every image."""
        ...

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Heights and widths, (n, 2)."""
        ...

    @property
    def byte_hashes(self) -> NDArray[Any]:
        """SHA-256 of what each image was read from."""
        ...

    @property
    def pixel_hashes(self) -> NDArray[Any]:
        """Hash of each decoded image."""
        ...

    def read(self, rows: NDArray[np.int64]) -> Sequence[NDArray[Any]] | NDArray[Any]:
        """The images in these rows."""
        ...


class InArray:
    """Images of one size in one array (n, h, w, c); hashes are computed when they are first asked for."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array.view()
        self._array.flags.writeable = False
        self.dtype: np.dtype[Any] = array.dtype
        self.channels = int(array.shape[-1])

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Heights and widths, (n, 2)."""
        return np.tile(np.asarray(self._array.shape[1:3], np.int64), (len(self._array), 1))

    @cached_property
    def byte_hashes(self) -> NDArray[Any]:
        """SHA-256 of the raw pixels of each image."""
        return strings(row_byte_hashes(self._array))

    @cached_property
    def pixel_hashes(self) -> NDArray[Any]:
        """Hash of each image."""
        return strings(row_pixel_hashes(self._array))

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """The images in these rows."""
        if len(rows) == 1:  # a view, not a copy
            return self._array[rows[0] : rows[0] + 1]
        taken = self._array[rows]
        taken.flags.writeable = False
        return taken


class InMemory:
    """Images of mixed sizes, already decoded."""

    def __init__(self, images: Sequence[NDArray[Any]]) -> None:
        self.channels = max((image.shape[-1] for image in images), default=1)
        self.dtype = np.dtype(np.uint8) if all(image.dtype == np.uint8 for image in images) else np.dtype(np.float32)
        self._images = [as_common(image, self.channels, self.dtype) for image in images]

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Heights and widths, (n, 2)."""
        return np.asarray([image.shape[:2] for image in self._images], np.int64).reshape(-1, 2)

    @cached_property
    def byte_hashes(self) -> NDArray[Any]:
        """SHA-256 of the raw pixels of each image."""
        return strings(row_byte_hashes(image[np.newaxis])[0] for image in self._images)

    @cached_property
    def pixel_hashes(self) -> NDArray[Any]:
        """Hash of each image."""
        return strings(row_pixel_hashes(image[np.newaxis])[0] for image in self._images)

    def read(self, rows: NDArray[np.int64]) -> Sequence[NDArray[Any]]:
        """The images in these rows."""
        return [self._images[row] for row in rows]


class Decodable:
    """Encoded images, each of which has been decoded once: what fits is kept, the rest is decoded again, in parallel."""

    def __init__(
        self,
        encoded: Encoded,
        positions: NDArray[np.int64],
        kept: Sequence[NDArray[Any] | None],
        *,
        sizes: NDArray[np.int64],
        byte_hashes: NDArray[Any],
        pixel_hashes: NDArray[Any],
        channels: int,
        dtype: np.dtype[Any],
        pixel_limit: int,
    ) -> None:
        self._encoded, self._positions, self._kept, self._pixel_limit = encoded, positions, kept, pixel_limit
        self.sizes, self.byte_hashes, self.pixel_hashes = sizes, byte_hashes, pixel_hashes
        self.channels, self.dtype = channels, dtype

    def read(self, rows: NDArray[np.int64]) -> Sequence[NDArray[Any]]:
        """The images in these rows, decoded in parallel where they are not in memory."""
        if len(rows) < 2 or all(self._kept[row] is not None for row in rows):
            return [self._one(row) for row in rows]
        with quiet_pillow(), ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(self._one, rows.tolist()))

    def _one(self, row: int) -> NDArray[Any]:
        pixels = self._kept[row]
        if pixels is None:
            pixels = decode(self._encoded.read(int(self._positions[row])), self._pixel_limit).pixels
            if pixel_hash(pixels) != self.pixel_hashes[row]:
                raise ImageError(
                    "an image must not change while it is used. Got other pixels than at loading. Load the source again."
                )
        return as_common(pixels, self.channels, self.dtype)


def as_common(pixels: NDArray[Any], channels: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """One image in the type and number of channels of its set; grey is repeated, integers are divided by their largest."""
    if pixels.dtype != dtype:
        largest = {"uint8": 255, "uint16": 65535}.get(pixels.dtype.name, 1)
        pixels = pixels.astype(np.float32) / np.float32(largest)
    if pixels.shape[-1] != channels:
        pixels = np.repeat(pixels, channels, axis=-1)
    pixels = pixels.view()
    pixels.flags.writeable = False
    return pixels


def strings(values: Iterable[Any]) -> NDArray[Any]:
    """An object array, so that texts of any length and None stand beside each other."""
    values = list(values)
    array = np.empty(len(values), object)
    array[:] = values
    return array
