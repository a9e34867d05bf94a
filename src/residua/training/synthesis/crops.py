"""Random crops at random zoom, flipped; what does not fill the crop is mirrored."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from residua.training.synthesis.draws import Draws
from residua.training.synthesis.smoothing import resized

_ZOOM = 0.2  # the logarithm of the scale lies within this of 0
# crops are drawn from beyond the image and pushed back in, so that its borders are met often
_BEYOND = 0.2


def random_crops(draws: Draws, images: Tensor, side: int) -> Tensor:
    """A square crop of `side` pixels of each of (n, channels, h, w), zoomed and flipped."""
    return torch.stack([_crop(draws, image, side) for image in images])


def _crop(draws: Draws, image: Tensor, side: int) -> Tensor:
    height, width = image.shape[-2:]
    taken = round(side * math.exp(float(draws.uniform(1, -_ZOOM, _ZOOM))))
    rows, columns = min(height, taken), min(width, taken)
    top, left = _offset(draws, height - rows), _offset(draws, width - columns)
    crop = image[:, top : top + rows, left : left + columns]
    if (rows, columns) != (side, side):
        crop = resized(crop[None], round(rows * side / taken), round(columns * side / taken))[0]
        crop = crop[:, mirrored(crop.shape[1], side)][:, :, mirrored(crop.shape[2], side)]
    if draws.number(2):
        crop = crop.flip(-1)
    return crop.flip(-2) if draws.number(2) else crop


def _offset(draws: Draws, room: int) -> int:
    drawn = float(draws.uniform(1, -_BEYOND, 1 + _BEYOND)) * (room + 1)
    return min(max(0, int(drawn)), room)


def mirrored(length: int, wanted: int) -> list[int]:
    """Indices 0 .. wanted - 1, folded back into 0 .. length - 1.

    >>> mirrored(3, 7)
    [0, 1, 2, 1, 0, 1, 2]
    """
    period = max(1, 2 * length - 2)
    folded = [index % period for index in range(wanted)]
    return [index if index < length else period - index for index in folded]
