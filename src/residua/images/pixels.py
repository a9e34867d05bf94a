"""Where the pixels of a set lie: in one array, or in encoded files that were all decoded once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, array_of
from residua.errors import ImageError
from residua.images.arrays import as_pixels
from residua.images.channels import with_channels
from residua.images.decoding import decode, quiet_pillow
from residua.images.hashing import BYTES, PIXELS, pixel_digest, row_byte_digests, row_pixel_digests
from residua.images.listing import EncodedImages
from residua.images.reading import AS_IT_SAYS, Reading, common_type

_MOST_COPIED = 2**20  # values of an image
WORKERS = min(8, os.cpu_count() or 1)  # threads that decode


class Pixels(Protocol):
    """The read-only pixels of every image: (h, w, c), of one dtype and number of channels."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of every image."""

    @property
    def channels(self) -> int:
        """The number of channels of every image."""

    @property
    def sizes(self) -> NDArray[Any]:
        """Heights and widths, integers (n, 2)."""

    @property
    def byte_digests(self) -> NDArray[np.uint8]:
        """SHA-256 of what each image was read from, (n, 32)."""

    @property
    def pixel_digests(self) -> NDArray[np.uint8]:
        """Digest of each decoded image, (n, 16)."""

    def read(self, rows: NDArray[np.int64]) -> Sequence[NDArray[Any]] | NDArray[Any]:
        """The images in these rows."""


class InArray:
    """Images of one size in an array (n, h, w, c), hashed when first asked for."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array.view()
        self._array.flags.writeable = False
        self.dtype: np.dtype[Any] = array.dtype
        self.channels = int(array.shape[-1])

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Heights and widths, (n, 2); one row, seen n times."""
        return np.broadcast_to(np.asarray(self._array.shape[1:3], np.int64), (len(self._array), 2))

    @cached_property
    def byte_digests(self) -> NDArray[np.uint8]:
        """SHA-256 of the raw pixels of each image."""
        return row_byte_digests(self._array)

    @cached_property
    def pixel_digests(self) -> NDArray[np.uint8]:
        """Digest of each image."""
        return row_pixel_digests(self._array)

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
        self.dtype = common_type((image.dtype for image in images), AS_IT_SAYS)
        self._images = [as_common(image, self.channels, self.dtype) for image in images]

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Heights and widths, (n, 2)."""
        return np.asarray([image.shape[:2] for image in self._images], np.int64).reshape(-1, 2)

    @cached_property
    def byte_digests(self) -> NDArray[np.uint8]:
        """SHA-256 of the raw pixels of each image."""
        each = (row_byte_digests(image[np.newaxis]) for image in self._images)
        return np.concatenate([np.zeros((0, BYTES), np.uint8), *each])

    @cached_property
    def pixel_digests(self) -> NDArray[np.uint8]:
        """Digest of each image."""
        each = (row_pixel_digests(image[np.newaxis]) for image in self._images)
        return np.concatenate([np.zeros((0, PIXELS), np.uint8), *each])

    def read(self, rows: NDArray[np.int64]) -> Sequence[NDArray[Any]]:
        """The images in these rows."""
        return [self._images[row] for row in rows]


class Decodable:
    """Encoded images, each of which has been decoded once.

    What fits is kept, the rest is decoded again, in parallel.

    ``kept`` holds pixels by row; ``sizes`` are int32, digests raw bytes: 56 bytes an image beside
    its name.
    """

    def __init__(
        self,
        encoded: EncodedImages,
        kept: dict[int, NDArray[Any]],
        *,
        sizes: NDArray[np.int32],
        byte_digests: NDArray[np.uint8],
        pixel_digests: NDArray[np.uint8],
        channels: int,
        dtype: np.dtype[Any],
        pixel_limit: int,
        reading: Reading,
    ) -> None:
        self._encoded, self._kept, self._pixel_limit, self._reading = (
            encoded,
            kept,
            pixel_limit,
            reading,
        )
        self.sizes, self.byte_digests, self.pixel_digests = sizes, byte_digests, pixel_digests
        self.channels, self.dtype = channels, dtype

    def read(self, rows: NDArray[np.int64]) -> Sequence[NDArray[Any]]:
        """The images in these rows, decoded in parallel where they are not in memory."""
        wanted = rows.tolist()
        if len(wanted) < 2 or all(row in self._kept for row in wanted):
            return [self._one(row) for row in wanted]
        with quiet_pillow():
            return list(decoders().map(self._one, wanted))

    def _one(self, row: int) -> NDArray[Any]:
        pixels = self._kept.get(row)
        if pixels is None:
            pixels = decode(self._encoded.read(row), self._pixel_limit, self._reading).pixels
            if pixel_digest(pixels) != self.pixel_digests[row].tobytes():
                raise ImageError(
                    "an image must not change while it is used. Got other pixels than at loading."
                    " Load the source again."
                )
        return as_common(pixels, self.channels, self.dtype, self._reading)


@cache
def decoders() -> ThreadPoolExecutor:
    """The threads that decode, made once: eight new ones cost more than small images."""
    return ThreadPoolExecutor(WORKERS, thread_name_prefix="residua-decode")


def as_common(
    pixels: NDArray[Any], channels: int, dtype: np.dtype[Any], reading: Reading = AS_IT_SAYS
) -> NDArray[Any]:
    """An image in its set's type and channels: grey is repeated, numbers scaled by `reading`."""
    if pixels.dtype != dtype:
        pixels = reading.to_unit(pixels)
    pixels = with_channels(pixels, channels).view()
    pixels.flags.writeable = False
    return pixels


def _are_small(images: Any) -> bool:
    """Whether it costs little to copy them into one array."""
    return not len(images) or np.size(images[0]) <= _MOST_COPIED


def pixels_of(images: Any, problems: Problems, reading: Reading) -> Pixels:
    """Pixels of arrays from outside, in one array or as a sequence of images of any sizes."""
    if isinstance(images, np.ndarray) and images.dtype != object:
        return InArray(as_pixels(images, name="images", problems=problems, reading=reading))
    if len({np.shape(image) for image in images}) <= 1 and _are_small(images):
        stacked = np.asarray([*map(array_of, images)])
        return InArray(as_pixels(stacked, name="images", problems=problems, reading=reading))
    singles = [
        as_pixels(
            array_of(image)[np.newaxis], name=f"images[{i}]", problems=problems, reading=reading
        )
        for i, image in enumerate(images)
    ]
    return InMemory([single[0] for single in singles if len(single)])
