"""Whether files look like masks, by a few of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from residua.images.listing import Options
from residua.images.masks import fits
from residua.images.sources.mask_looks import Glance, glance_at
from residua.images.sources.walking import FoundImages

_Any = TypeVar("_Any")

SAMPLES = 12  # files that are looked at in each group
_MOST = 0.8  # of the samples of a name that may be a class's


class Samples:
    """Looks at some of the files found; `is_image` says which are images so far."""

    def __init__(self, found: FoundImages, options: Options, is_image: NDArray[np.bool_]) -> None:
        self._found, self._options, self._is_image = found, options, is_image
        self._names = found.names

    def look_like_masks(self, rows: list[int], images: dict[int, int], *, sure: bool) -> bool:
        """Whether most of some samples do.

        Where the name may be another's, their images must look otherwise and be as large.
        """
        sample = evenly([row for row in rows if row in images] or rows)
        looks = {row: look for row in sample if (look := self._look(row)) is not None}
        like = [row for row, look in looks.items() if look.is_mask]
        if len(like) < (0.5 if sure else _MOST) * len(looks):
            return False
        if not looks:  # nothing there decodes, so that the name alone counts
            return sure
        if sure and images:
            return True
        others = [images[row] for row in like if row in images] or evenly(
            np.flatnonzero(self._is_image).tolist()
        )
        pictures = [look for row in others if (look := self._look(row)) is not None]
        if sum(look.is_mask for look in pictures) > 0.5 * len(pictures):
            return False
        return self._as_large(like, images, looks)

    def _as_large(self, rows: list[int], images: dict[int, int], looks: dict[int, Glance]) -> bool:
        pairs = [(looks[row], self._look(images[row])) for row in rows if row in images]
        fit = [fits(mask.size, image.size) for mask, image in pairs if image is not None]
        return sum(fit) >= 0.5 * len(fit)

    def _look(self, row: int) -> Glance | None:
        return glance_at(self._found.store, self._found.real(row, self._names[row]), self._options)

    def look_drawn(self, rows: list[int]) -> bool:
        """Whether a first look at one, and then at some, shows drawings."""
        first = self._look(rows[len(rows) // 2])
        if first is None or not first.is_mask:
            return False
        looks = [look for row in evenly(rows) if (look := self._look(row)) is not None]
        return sum(look.is_drawn for look in looks) > len(looks) / 3


def evenly(rows: Sequence[_Any], most: int = SAMPLES) -> list[_Any]:
    """At most so many of them, from the first to the last."""
    if len(rows) <= most:
        return list(rows)
    return [rows[at] for at in np.linspace(0, len(rows) - 1, most).astype(int).tolist()]
