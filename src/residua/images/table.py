"""What an `ImageSet` is a view of: a whole source, a row an image, and its masks, decoded when they
are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.images.listing import Quarantined
from residua.images.masks import PLAIN, Convention, MaskFiles, read_mask
from residua.images.pixels import Pixels
from residua.images.reading import AS_IT_SAYS, Reading
from residua.records import Assumption


@dataclass(frozen=True)
class Table:
    """A whole source, a row an image; every `ImageSet` made from it shares it."""

    pixels: Pixels
    paths: NDArray[Any]
    labels: NDArray[Any] | None
    splits: NDArray[Any]
    drawn: frozenset[str] = frozenset()
    groups: NDArray[Any] | None = None
    masks: Sequence[MaskFiles | NDArray[np.bool_] | None] | None = None
    own: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    mask_convention: Convention = PLAIN
    source: str = "arrays"
    kind: str = "arrays"
    notes: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    reading: Reading = AS_IT_SAYS
    quarantined: tuple[Quarantined, ...] = ()
    formats: dict[str, int] = field(default_factory=dict)
    pixel_limit: int = 100_000_000
    byte_limit: int = 800_000_000


@dataclass(frozen=True)
class Masks:
    """Masks by position: bool (h, w), True = defective, or None where the image has no mask.

    Decoded on access.
    """

    _table: Table
    _rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which images have a mask, (n,)."""
        masks = self._table.masks
        return np.array(
            [masks is not None and masks[row] is not None for row in self._rows], np.bool_
        )

    def __getitem__(self, index: int) -> NDArray[np.bool_] | None:
        mask = None if self._table.masks is None else self._table.masks[self._rows[index]]
        if mask is None or isinstance(mask, np.ndarray):
            return mask
        table = self._table
        height, width = table.pixels.sizes[self._rows[index]].tolist()
        return read_mask(
            mask,
            table.pixel_limit,
            table.byte_limit,
            convention=table.mask_convention,
            size=(height, width),
        )

    def __iter__(self) -> Iterator[NDArray[np.bool_] | None]:
        return (self[index] for index in range(len(self)))
