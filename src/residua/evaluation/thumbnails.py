"""Small pictures of the judged images, so that a report can show whichever a threshold catches or
misses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_THUMBNAILS = 10_000
_SIDES = (
    (600, 96),
    (2500, 64),
    (MOST_THUMBNAILS, 32),
)  # up to so many images, so many pixels on the longer side


@dataclass(frozen=True)
class Thumbnails:
    """Pictures of one size, uint8 (k, height, width, 1 or 3), of the images `index` (k,)."""

    index: NDArray[np.int64]
    pixels: NDArray[np.uint8]


def thumbnail_size(n_images: int, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of so many thumbnails of `size`: of more, smaller; never enlarged.

    >>> thumbnail_size(400, (512, 256)), thumbnail_size(10_000, (28, 28))
    ((96, 48), (28, 28))
    """
    side = next((side for most, side in _SIDES if n_images <= most), _SIDES[-1][1])
    longer = max(size)
    if longer <= side:
        return size
    return max(1, round(size[0] * side / longer)), max(1, round(size[1] * side / longer))


def choose_thumbnails(
    scores: NDArray[Any],
    is_anomalous: NDArray[np.bool_] | None = None,
    *,
    most: int = MOST_THUMBNAILS,
) -> NDArray[np.int64]:
    """Which images get one: all, or of more than `most` a share of each kind, over its ranks.

    >>> choose_thumbnails(np.array([0.3, 0.1, 0.2, 0.9]), most=2)
    array([1, 3])
    """
    n_images = len(scores)
    if n_images <= most:
        return np.arange(n_images)
    kinds = (
        [np.arange(n_images)]
        if is_anomalous is None
        else [np.flatnonzero(is_anomalous), np.flatnonzero(~is_anomalous)]
    )
    chosen, left = [], most
    for place, rows in enumerate(
        sorted(kinds, key=len)
    ):  # the rarer first: what it leaves goes to the other
        share = min(len(rows), left // (len(kinds) - place))
        left -= share
        ranked = rows[np.argsort(scores[rows], kind="stable")]
        chosen.append(
            ranked[np.linspace(0, len(rows) - 1, share).round().astype(np.int64)]
            if share
            else ranked[:0]
        )
    return np.sort(np.concatenate(chosen)).astype(np.int64)
