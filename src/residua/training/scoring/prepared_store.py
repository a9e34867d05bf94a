"""Prepared images that do not fit in memory.

Written to a file once, and read from there in any order.

What is read is bit for bit what memory would have held, and the order of the batches is the same,
so a model trained from a file equals one trained in memory. A set is decoded once, not once an
epoch.
"""

from __future__ import annotations

import copy
import math
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.errors import OutputError

_MEGABYTE = 2**20
_SPARE = 64 * _MEGABYTE  # bytes that stay free on the disk


class StoredImages:
    """Prepared images in an unnamed file, which is gone with the process however it ends.

    uint8 or float32; `as_unit` gives the same images as float32 in [0, 1].
    """

    def __init__(
        self,
        file: _File,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        *,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        self._file, self._unit = file, False
        self._rows = np.arange(shape[0]) if rows is None else rows
        self.shape = (len(self._rows), *shape[1:])
        self._dtype: Any = np.uint8 if dtype == torch.uint8 else np.float32
        self._image_bytes = math.prod(shape[1:]) * np.dtype(self._dtype).itemsize

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Tensor:
        rows = self._rows[index.numpy() if isinstance(index, Tensor) else index]
        images = np.empty((len(rows), *self.shape[1:]), self._dtype)
        bytes_of = images.reshape(len(rows), -1).view(np.uint8)
        for first, last in _runs(rows):
            self._file.read_into(bytes_of[first:last], int(rows[first]) * self._image_bytes)
        return to_unit(torch.from_numpy(images)) if self._unit else torch.from_numpy(images)

    def split(self, n: int) -> Iterator[Tensor]:
        """All images in order, `n` at a time."""
        return (self[start : start + n] for start in range(0, len(self), n))

    def as_unit(self) -> StoredImages:
        """The same images, given out as float32 in [0, 1]."""
        return self._seen(self._rows, unit=True)

    def every(self, stride: int) -> StoredImages:
        """Each of so many; nothing is copied."""
        return self._seen(self._rows[::stride], unit=self._unit)

    def subset(self, rows: NDArray[np.int64]) -> StoredImages:
        """These rows alone; nothing is copied."""
        return self._seen(self._rows[rows], unit=self._unit)

    def _seen(self, rows: NDArray[np.int64], *, unit: bool) -> StoredImages:
        view = StoredImages(
            self._file,
            self.shape,
            torch.uint8 if self._dtype == np.uint8 else torch.float32,
            rows=rows,
        )
        view._unit = unit
        return view


class StoredPieces(Sequence[Tensor]):
    """Prepared images of any sizes in an unnamed file, read one at a time like a list."""

    def __init__(self, file: _File, shapes: Sequence[tuple[int, ...]], dtype: torch.dtype) -> None:
        self._file, self._shapes = file, shapes
        self._dtype: Any = np.uint8 if dtype == torch.uint8 else np.float32
        ends = (
            np.cumsum([math.prod(shape) for shape in shapes], dtype=np.int64)
            * np.dtype(self._dtype).itemsize
        )
        self._starts = np.concatenate([np.zeros(1, np.int64), ends])
        self._rows = np.arange(len(shapes))

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> StoredPieces: ...
    def __getitem__(self, index: int | slice) -> Tensor | StoredPieces:
        if isinstance(index, slice):
            return self.subset(np.arange(len(self))[index])
        row = self._rows[index]
        image = np.empty(self._shapes[row], self._dtype)
        self._file.read_into(image.reshape(-1).view(np.uint8), int(self._starts[row]))
        return torch.from_numpy(image)

    def subset(self, rows: NDArray[np.int64]) -> StoredPieces:
        """These images alone; nothing is copied."""
        seen = copy.copy(self)
        seen._rows = self._rows[rows]
        return seen


class UnitImages:
    """Prepared images in memory, given out as float32 in [0, 1].

    (n, channels, height, width); no more are converted than are asked for.

    >>> images = UnitImages(torch.full((3, 1, 2, 2), 51, dtype=torch.uint8))
    >>> [len(chunk) for chunk in images.split(2)], round(float(images[:1].mean()), 6)
    ([2, 1], 0.2)
    """

    def __init__(self, images: Tensor) -> None:
        self._images, self.shape = images, tuple(images.shape)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: Any) -> Tensor:
        return to_unit(self._images[index])

    def split(self, n: int) -> Iterator[Tensor]:
        """All images in order, `n` at a time."""
        return (to_unit(chunk) for chunk in self._images.split(n))

    def as_unit(self) -> UnitImages:
        """These images: they are given out so already."""
        return self

    def every(self, stride: int) -> UnitImages:
        """Each of so many; nothing is copied."""
        return UnitImages(self._images[::stride])


class _File:
    """An open file without a name, closed when the last set of images in it is forgotten."""

    def __init__(self, folder: str) -> None:
        self._file: Any = tempfile.TemporaryFile(dir=folder, prefix=".prepared-", buffering=0)  # noqa: SIM115  see above
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, self._file.close)

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:  # an unbuffered file may take less than it is given
            left = left[self._file.write(left) :]

    def read_into(self, target: NDArray[np.uint8], position: int) -> None:
        with self._lock:  # one position in one file
            self._file.seek(position)
            n_read = self._file.readinto(target.reshape(-1))
        if n_read != target.size:
            raise OutputError(
                f"fit: the file of prepared images must stay whole. Got {n_read} of {target.size}"
                " bytes. Fit again."
            )


class PreparedStore:
    """Decides whether prepared images stay in memory, within the bound, or go to a file."""

    def __init__(self, memory_megabytes: float, folder: Path | None) -> None:
        self._room = memory_megabytes * _MEGABYTE
        self._folder = folder
        self.stored_bytes = 0

    def keep(
        self, chunks: Iterable[Tensor], shape: tuple[int, ...], dtype: torch.dtype
    ) -> Tensor | StoredImages:
        """The images of `chunks`, (n, channels, height, width) in all."""
        n_bytes = math.prod(shape) * dtype.itemsize
        if n_bytes <= self._room:
            self._room -= n_bytes
            kept = torch.empty(shape, dtype=dtype)
            for start, chunk in _placed(chunks):
                kept[start : start + len(chunk)] = chunk
            return kept
        return StoredImages(self._stored(chunks, n_bytes), shape, dtype)

    def keep_each(
        self, images: Iterable[Tensor], shapes: Sequence[tuple[int, ...]], dtype: torch.dtype
    ) -> Sequence[Tensor]:
        """As `keep`, of images whose sizes differ: a list of them, or what reads like one."""
        n_bytes = sum(math.prod(shape) for shape in shapes) * dtype.itemsize
        if n_bytes <= self._room:
            self._room -= n_bytes
            return [image.clone() for image in images]
        return StoredPieces(self._stored(images, n_bytes), shapes, dtype)

    def _stored(self, chunks: Iterable[Tensor], n_bytes: int) -> _File:
        folder = str(self._folder) if self._folder is not None else tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
        if free < n_bytes + _SPARE:
            raise OutputError(
                f"fit: prepared images beyond --memory are kept in a file: {folder} must have"
                f" {n_bytes / 2**30:.1f} GB for it. It has {free / 2**30:.1f}. Free some space,"
                " name an --out on another disk, raise --memory, or lower --size."
            )
        file = _File(folder)
        try:
            for chunk in chunks:
                file.write(np.ascontiguousarray(chunk.numpy()).tobytes())
        except OSError as error:
            file.close()
            raise OutputError(
                f"fit: the prepared images must be kept in a file in {folder}. Got:"
                f" {error.strerror or error}. Free some space, or raise --memory."
            ) from error
        self.stored_bytes += n_bytes
        return file


def to_unit(images: Tensor) -> Tensor:
    """uint8 to float32 in [0, 1], channels last in memory; float images pass."""
    values = images.float() / 255 if images.dtype == torch.uint8 else images
    return values.contiguous(memory_format=torch.channels_last)


def _placed(chunks: Iterable[Tensor]) -> Iterator[tuple[int, Tensor]]:
    start = 0
    for chunk in chunks:
        yield start, chunk
        start += len(chunk)


def _runs(rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Stretches of consecutive rows, which one read brings."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    return pairwise([0, *breaks.tolist(), len(rows)] if len(rows) else [])
