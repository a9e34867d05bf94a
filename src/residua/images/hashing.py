"""Hashes that prove which images were seen: one of the bytes, one of the decoded pixels, one over a set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def byte_hash(data: bytes | memoryview) -> str:
    """SHA-256 of encoded bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def pixel_hash(pixels: NDArray[Any]) -> str:
    """BLAKE2b-128 of one decoded image, its shape and type, in hex: equal for equal pictures in different files.

    Examples
    --------
    >>> pixel_hash(np.zeros((2, 3, 1), np.uint8))[:8]
    '3b997598'
    """
    digest = hashlib.blake2b(_prefix(pixels.shape, pixels.dtype), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def row_pixel_hashes(array: NDArray[Any]) -> list[str]:
    """`pixel_hash` of each image of (n, h, w, c); a colour image that holds only grey is hashed as grey, as files are."""
    if array.shape[-1] == 3:
        grey = _is_grey(array)
        return [pixel_hash(image[..., :1] if flat else image) for image, flat in zip(array, grey, strict=True)]
    start = hashlib.blake2b(_prefix(array.shape[1:], array.dtype), digest_size=16)
    hashes = []
    for row in _rows(array):
        digest = start.copy()
        digest.update(row)
        hashes.append(digest.hexdigest())
    return hashes


def row_byte_hashes(array: NDArray[Any]) -> list[str]:
    """SHA-256 of the raw bytes of each image of (n, h, w, c)."""
    return [hashlib.sha256(row).hexdigest() for row in _rows(array)]


def fingerprint(hashes: Iterable[str]) -> str:
    """One hex string over a set of hashes; the order does not matter, how often each occurs does."""
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()


def _prefix(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    return f"{'x'.join(map(str, shape))} {np.dtype(dtype).name} ".encode()


def _rows(array: NDArray[Any]) -> Iterable[Any]:
    flat = np.ascontiguousarray(array).reshape(len(array), -1)
    return (row.data for row in flat)


def _is_grey(array: NDArray[Any]) -> list[bool]:
    axes = (1, 2)
    return list(np.all((array[..., 0] == array[..., 1]) & (array[..., 0] == array[..., 2]), axis=axes))
