"""Prepared images of several sizes, for the recipes that take each at its own proportions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.training.scoring.prepared_store import StoredImages, StoredPieces, UnitImages, to_unit
from residua.training.synthesis.crops import mirrored


class ImageList:
    """Prepared images (channels, height, width) of any sizes.

    Sliced, indexed and split as a stack of them would be.

    Batches of one are what `split` gives, however many are asked for: images of several sizes do
    not stack. With `unit` they are given out as float32 in [0, 1], whatever they are kept as.

    >>> images = ImageList([torch.zeros(1, 64, 80), torch.zeros(1, 80, 64)])
    >>> [tuple(batch.shape) for batch in images.split(8)]
    [(1, 1, 64, 80), (1, 1, 80, 64)]
    >>> tuple(images.stacked().shape)
    (2, 1, 80, 80)
    """

    def __init__(self, images: Sequence[Tensor], *, unit: bool = False) -> None:
        self.images, self._unit = images, unit

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Tensor]:
        return (image[0] for image in self.split(1))

    def __getitem__(self, index: slice | Any) -> ImageList:
        if isinstance(index, slice):
            return ImageList(self.images[index], unit=self._unit)
        return ImageList([self.images[int(row)] for row in index], unit=self._unit)

    def split(self, size: int) -> Iterator[Tensor]:
        """Each image as a batch of its own."""
        return (to_unit(image[None]) if self._unit else image[None] for image in self.images)

    def subset(self, rows: NDArray[np.int64]) -> ImageList:
        """These images alone; of a file nothing is read yet."""
        kept = (
            self.images.subset(rows)
            if isinstance(self.images, StoredPieces)
            else [self.images[row] for row in rows]
        )
        return ImageList(kept, unit=self._unit)

    def as_unit(self) -> ImageList:
        """The same images, given out as float32 in [0, 1]."""
        return ImageList(self.images, unit=True)

    def stacked(self) -> Tensor:
        """One batch, (n, channels, h, w): what sides lack of the largest is mirrored in."""
        height, width = (max(image.shape[axis] for image in self.images) for axis in (1, 2))
        rows, columns = (
            [mirrored(image.shape[axis], side) for image in self.images]
            for axis, side in ((1, height), (2, width))
        )
        return torch.stack(
            [
                image[:, down][:, :, across]
                for image, down, across in zip(self, rows, columns, strict=True)
            ]
        )


Images = Tensor | ImageList | StoredImages | UnitImages
"""Prepared images: a stack in memory, as it is or given out as floats, a list of several sizes, or
a stack in a file."""

_PIXELS_AT_ONCE = 2**22


def n_pixels(images: Images) -> int:
    """Pixels of an image; of images of several sizes, the mean."""
    if not isinstance(images, ImageList):
        return int(images.shape[-2] * images.shape[-1])
    some = every(images, -(-len(images) // 100))
    return round(sum(image.shape[-2] * image.shape[-1] for image in some) / max(1, len(some)))


def every(images: Any, stride: int) -> Any:
    """Each of so many images, of whatever kind they are; of a file nothing is read yet."""
    if stride <= 1:
        return images
    return (
        images.every(stride) if isinstance(images, StoredImages | UnitImages) else images[::stride]
    )


def taken(images: Images, rows: NDArray[np.int64]) -> Images:
    """These rows of images of whatever kind, as that kind."""
    return (
        images.subset(rows)
        if isinstance(images, StoredImages | ImageList)
        else images[torch.from_numpy(rows)]
    )


def at_once(images: Any, n: int) -> int:
    """`n` images, or as many as have four million pixels: networks make much more of them.

    >>> at_once(torch.zeros(3, 1, 28, 28), 256), at_once(torch.zeros(3, 1, 1024, 1024), 256)
    (256, 4)
    """
    return max(1, min(n, _PIXELS_AT_ONCE // max(1, n_pixels(images))))


def chunks_of(images: Any, n: int, *, most: int = 50_000) -> Iterator[Tensor]:
    """At most `most` images, evenly spread, `n` or fewer at a time; more gain nothing."""
    return iter(every(images, -(-len(images) // most)).split(at_once(images, n)))
