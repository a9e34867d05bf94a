"""Whether one picture is the other after JPEG.

Rounded as JPEG rounds at some quality, it comes out the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK, _LONGEST, _FIRST = 8, 64, 12
_QUALITIES = np.arange(20, 97)  # above, steps are so small that every picture lies on them
# Squared grey levels, mean of a block: what rounding leaves, and what JPEG has to explain.
_SAME, _BUSY = 0.5, 4.0
_MOST_BLOCKS = 0.8  # of the busy ones
# Grey levels around half a step in which a frequency may have been rounded up or down.
_EITHER_WAY = 0.6
_STEPS_AT_50 = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_SCALES = np.where(_QUALITIES < 50, 5000 // _QUALITIES, 200 - 2 * _QUALITIES)[
    :, np.newaxis, np.newaxis, np.newaxis
]
_STEPS = np.clip((np.array(_STEPS_AT_50) * _SCALES + 50) // 100, 1, 255).astype(np.float32)
"""Steps of the frequencies of brightness, (n_qualities, 1, 8, 8): annex K of ITU-T T.81, scaled as
libjpeg scales them."""

Blocks = NDArray[np.float32]


def blocks_of(image: NDArray[np.generic]) -> Blocks | None:
    """JPEG's blocks in the middle of an image, (n_blocks, 8, 8), in grey levels.

    None where there is no whole block, or where the image has more than 8 bits.
    """
    if image.dtype != np.uint8 or min(image.shape[:2]) < _BLOCK:
        return None
    top, left = (max(0, (side - _LONGEST) // 2) // _BLOCK * _BLOCK for side in image.shape[:2])
    rows, columns = (min(_LONGEST, side) // _BLOCK for side in image.shape[:2])
    grey = _luma(image[top : top + rows * _BLOCK, left : left + columns * _BLOCK])
    return grey.reshape(rows, _BLOCK, columns, _BLOCK).swapaxes(1, 2).reshape(-1, _BLOCK, _BLOCK)


def is_reencoded(first: Blocks | None, second: Blocks | None) -> bool:
    """Whether either of two pictures is the other one after JPEG, at any quality from 20 to 96.

    Another photograph of the same part is rounded to other steps, by its noise.

    - `first`, `second`: float32 array, (n_blocks, 8, 8), or None. From `blocks_of`; of pictures of
      two sizes nothing is known.

    >>> part = blocks_of(np.random.default_rng(0).integers(0, 255, (32, 32, 1)).astype(np.uint8))
    >>> coded = _coded(part, _STEPS[30:31], part)[0]
    >>> is_reencoded(part, coded), is_reencoded(part[::-1], coded)
    (True, False)
    """
    if first is None or second is None or first.shape != second.shape:
        return False
    apart = np.square(first - second).mean(axis=(1, 2))
    busy = np.argsort(-apart, kind="stable")[: max(1, int((apart > _BUSY).sum()))]
    first, second = first[busy], second[busy]
    return _follows(first, second) or _follows(second, first)


def _follows(coded: Blocks, other: Blocks) -> bool:
    """Whether `other`, coded at some quality, is `coded`; the busiest blocks come first."""
    steps = _STEPS[_same_blocks(coded[:_FIRST], other[:_FIRST], _STEPS) >= _MOST_BLOCKS - 0.2]
    return bool(len(steps)) and bool(_same_blocks(coded, other, steps).max() >= _MOST_BLOCKS)


def _same_blocks(coded: Blocks, other: Blocks, steps: NDArray[np.float32]) -> NDArray[np.float64]:
    """The share of blocks that come out the same, at each quality."""
    return np.asarray(
        (np.square(_coded(other, steps, coded) - coded).mean(axis=(2, 3)) <= _SAME).mean(axis=1)
    )


def _coded(blocks: Blocks, steps: NDArray[np.float32], aim: Blocks) -> NDArray[np.float32]:
    """What JPEG makes of the blocks with each step; where it is open, what `aim` has."""
    from scipy.fft import dctn, idctn

    exact, wanted = (dctn(one - 128, axes=(1, 2), norm="ortho") for one in (blocks, aim))
    rounded, other = steps * np.rint(exact / steps), steps * np.rint(wanted / steps)
    is_open = np.abs(exact - (rounded + other) / 2) <= _EITHER_WAY
    rounded = np.where(is_open & (np.abs(rounded - other) <= steps), other, rounded)
    return np.asarray(
        np.rint(np.clip(idctn(rounded, axes=(2, 3), norm="ortho") + 128, 0, 255)), np.float32
    )


def _luma(image: NDArray[np.generic]) -> NDArray[np.float32]:
    """What JPEG calls brightness."""
    values = image.astype(np.float32)
    return (
        values[..., 0]
        if values.shape[2] == 1
        else np.asarray(values @ np.array([0.299, 0.587, 0.114], np.float32))
    )
