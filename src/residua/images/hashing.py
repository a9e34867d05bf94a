"""Hashes that prove which images were seen.

One of the bytes, one of the decoded pixels, one over a set.

A column of hashes is an array of raw digests, uint8 (n_images, bytes): a million take 16 or 32 MB,
as text seven times that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.images.columns import strings

BYTES, PIXELS = 32, 16
"""Bytes of a digest: SHA-256 of what was read, BLAKE2b-128 of what it decoded to."""

_CHUNK = 65536


def byte_digest(data: bytes | memoryview | Image.Image | NDArray[Any]) -> bytes:
    """SHA-256 of encoded bytes; of the raw pixels of what is decoded already."""
    if isinstance(data, Image.Image | np.ndarray):
        data = np.ascontiguousarray(data).data
    return hashlib.sha256(data).digest()


def pixel_digest(pixels: NDArray[Any]) -> bytes:
    """BLAKE2b-128 of a decoded image, shape and type: equal for equal pictures in any files.

    >>> pixel_digest(np.zeros((2, 3, 1), np.uint8)).hex()[:8]
    '3b997598'
    """
    digest = hashlib.blake2b(_prefix(pixels.shape, pixels.dtype), digest_size=PIXELS)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()


def row_pixel_digests(array: NDArray[Any]) -> NDArray[np.uint8]:
    """`pixel_digest` of each of (n, h, w, c); colour that holds only grey counts as grey."""
    if array.shape[-1] == 3:
        digests = (
            pixel_digest(image[..., :1] if flat else image)
            for image, flat in zip(array, _is_grey(array), strict=True)
        )
        return column(digests, PIXELS, len(array))
    start = hashlib.blake2b(_prefix(array.shape[1:], array.dtype), digest_size=PIXELS)

    def digest_of(row: Any) -> bytes:
        digest = start.copy()
        digest.update(row)
        return digest.digest()

    return column(map(digest_of, _rows(array)), PIXELS, len(array))


def row_byte_digests(array: NDArray[Any]) -> NDArray[np.uint8]:
    """SHA-256 of the raw bytes of each image of (n, h, w, c)."""
    return column((hashlib.sha256(row).digest() for row in _rows(array)), BYTES, len(array))


def column(digests: Iterable[bytes], width: int, n: int) -> NDArray[np.uint8]:
    """`n` digests of `width` bytes below each other, uint8 (n, width)."""
    result = np.empty((n, width), np.uint8)
    for row, digest in enumerate(digests):
        result[row] = np.frombuffer(digest, np.uint8)
    return result


def in_hex(digests: NDArray[np.uint8]) -> NDArray[Any]:
    """Digests as an object array of hex texts."""
    return strings(digest.tobytes().hex() for digest in digests)


def fingerprint(digests: NDArray[np.uint8]) -> str:
    r"""One hex string over a set of digests; the order does not matter, how often each occurs does.

    >>> two = np.array([[1, 2], [0, 255]], np.uint8)
    >>> fingerprint(two) == fingerprint(two[::-1]) == hashlib.sha256(b"00ff\n0102").hexdigest()
    True
    """
    order = np.lexsort(digests.T[::-1])
    whole = hashlib.sha256()
    for start in range(0, len(order), _CHUNK):
        lines = "\n".join(
            digest.tobytes().hex() for digest in digests[order[start : start + _CHUNK]]
        )
        whole.update((("\n" if start else "") + lines).encode())
    return whole.hexdigest()


def of_hex(hashes: NDArray[Any]) -> str:
    """The `fingerprint` of digests that were written in hex."""
    return fingerprint(column(map(bytes.fromhex, hashes.tolist()), PIXELS, len(hashes)))


def _prefix(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    return f"{'x'.join(map(str, shape))} {np.dtype(dtype).name} ".encode()


def _rows(array: NDArray[Any]) -> Iterable[Any]:
    """Each image's bytes; a block at a time where the array lies on disk or is not contiguous."""
    for start in range(0, len(array), _CHUNK):
        flat = np.ascontiguousarray(array[start : start + _CHUNK]).reshape(
            len(array[start : start + _CHUNK]), -1
        )
        yield from (row.data for row in flat)


def _is_grey(array: NDArray[Any]) -> list[bool]:
    return list(
        np.all((array[..., 0] == array[..., 1]) & (array[..., 0] == array[..., 2]), axis=(1, 2))
    )
