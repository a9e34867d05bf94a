"""The table that an `ImageSet` is a view of.

A whole source, one row per image, and its masks, decoded when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, array_of, is_tensor
from residua.errors import LabelError, ShapeError
from residua.images.arrays import as_labels, settle_arrays
from residua.images.columns import shared, texts
from residua.images.groups import Grouping, as_groups
from residua.images.listing import PARTS, Quarantined
from residua.images.masks import PLAIN, Convention, MaskFiles, read_mask
from residua.images.pixels import Pixels, pixels_of
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
    products: NDArray[Any] | None = None
    grouping: Grouping | None = None
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
    """Masks by position, decoded on access: bool (h, w), True = defective, or None."""

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


def table_of_arrays(
    images: Any,
    labels: Any,
    columns: Mapping[str, Any],
    source: str,
    reading: Reading,
    *,
    of_model: bool,
) -> Table:
    """A table of plain arrays, for `ImageSet.from_arrays`, whose parameters `columns` holds.

    ``of_model``: the `reading` is a model's, nobody told it of these images.
    """
    problems = Problems("ImageSet.from_arrays")
    images = array_of(images) if is_tensor(images) else images
    several = images if isinstance(images, np.ndarray) and images.ndim else list(images)
    if isinstance(several, list):
        several = [array_of(one) for one in several]
    given = [several] if isinstance(several, np.ndarray) and several.dtype != object else several
    reading, assumed = settle_arrays(given, reading, model=of_model, where=source)
    pixels, n = pixels_of(several, problems, reading), len(several)
    splits = "train" if columns["splits"] is None else columns["splits"]
    parts = [splits] * n if isinstance(splits, str) else list(splits)
    check_columns(problems, n, {**columns, "splits": parts})
    label_array = None if labels is None else as_labels(labels, n, name="labels", problems=problems)
    problems.raise_any()
    paths, groups, masks = columns["paths"], columns["groups"], columns["masks"]
    named, products = (
        None if told is None else as_groups(told, n, problems=problems, name=name)
        for name, told in (("groups", groups), ("products", columns["products"]))
    )
    problems.raise_any()
    return Table(
        pixels=pixels,
        paths=texts(paths if paths is not None else (f"{source}[{index}]" for index in range(n))),
        labels=label_array,
        splits=shared(parts),
        groups=named,
        products=products,
        grouping=None if groups is None else Grouping(by="array"),
        masks=(
            None
            if masks is None
            else [None if mask is None else np.asarray(mask, np.bool_) for mask in masks]
        ),
        source=source,
        assumptions=assumed,
        reading=reading,
    )


def check_columns(problems: Problems, n: int, columns: Mapping[str, Any]) -> None:
    """Add to `problems` where a column has not one entry per image, or splits are no parts."""
    for name, column in columns.items():
        if column is not None and len(column) != n:
            problems.add(
                f"{name} must have one entry per image",
                f"{len(column)} for {n} images",
                "Pass one per image",
                ShapeError,
            )
    wrong = sorted({str(part) for part in columns["splits"]} - set(PARTS))
    if wrong:
        problems.add(
            "splits must be train, calibration or test",
            ", ".join(map(repr, wrong)),
            "Rename those parts",
            LabelError,
        )
