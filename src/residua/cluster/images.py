"""What a worker sees of the images that it scores: hashes, groups, looks, and pixels beside masks.

Each look is that of one machine at the same image, so columns and tallies of all workers join into
what one machine would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.engines import Engine, Scores, score_with
from residua.errors import SourceError
from residua.evaluation.check import image_statistics
from residua.images import ImageSet
from residua.images.columns import shared, texts
from residua.images.groups import DEFAULT
from residua.images.hashing import PIXELS
from residua.images.listing import Listing, Quarantined
from residua.images.masks import Convention
from residua.images.shards import Shard
from residua.images.source_pixels import read_pixels
from residua.images.table import Table
from residua.metrics import PixelTally
from residua.runs.evaluate_scores import adding_maps
from residua.runs.tables.chunks import ScoringTask, alike, labels_of, splits_of

_TOGETHER = 256  # images whose pixels are kept together
_MEGABYTES = 512.0
_NO_HASHES = np.zeros((0, PIXELS), np.uint8)


@dataclass(frozen=True)
class Looked:
    """Images of a piece: their names, labels, scores, and what else was seen of them, in order."""

    names: list[str] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    splits: list[str | None] = field(default_factory=list)
    scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    quarantined: tuple[Quarantined, ...] = ()
    hashes: NDArray[np.uint8] = field(default_factory=lambda: _NO_HASHES)
    groups: list[str | None] = field(default_factory=list)
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    pixels: PixelTally | None = None
    mask_convention: str = ""


@dataclass(frozen=True)
class Judge:
    """Looks at pieces of a source with a model.

    ``pixel_threshold`` is the model's; ``most_exact`` how many pixels of a piece stay exact, 0
    where the source has no masks.
    """

    engine: Engine
    task: ScoringTask
    normal: tuple[str, ...] | None
    pixel_threshold: float | None
    most_exact: int

    def look(self, piece: Shard) -> Iterator[Looked]:
        """What is seen of a piece, decoded once; an unreadable piece is one quarantined file."""
        task = self.task
        try:
            listing = task.listing(piece)
        except SourceError as error:
            yield Looked(quarantined=(Quarantined(piece.name, f"the whole shard: {error}"),))
            return
        rows = np.arange(len(listing.names))
        splits = splits_of(task, listing, rows)
        wanted = rows if not task.only_test or splits is None else rows[splits == "test"]
        yield Looked(quarantined=tuple(listing.quarantined))
        for start in range(0, len(wanted), _TOGETHER):
            some = wanted[start : start + _TOGETHER]
            yield self._look(listing.rows(some), None if splits is None else splits[some])

    def _look(self, listing: Listing, splits: NDArray[Any] | None) -> Looked:
        images, convention = _images_of(listing, self.task, self.normal)
        if not len(images):
            return Looked(quarantined=images.quarantined)
        is_known = images.labelled & (images.normal is not None)
        pixels = on_map = None
        if self.most_exact:
            pixels = PixelTally(pixel_threshold=self.pixel_threshold, most_exact=self.most_exact)
            on_map = adding_maps(pixels, images, is_known & ~images.presumed_anomalous)
        scores = score_with(_Alike(self.engine, self.task), images, on_map=on_map)
        names = images.paths.tolist()
        parts: dict[str, str | None] = {}
        if splits is not None:
            parts = dict(zip(map(str, listing.names), splits.tolist(), strict=True))
        return Looked(
            names=names,
            labels=[None] * len(images) if images.labels is None else images.labels.tolist(),
            splits=[parts.get(name) for name in names],
            scores=scores.score,
            quarantined=images.quarantined,
            hashes=images.pixel_digests,
            groups=[] if self.task.grouping is None else images.own_columns[DEFAULT].tolist(),
            columns={"mse": scores.columns["mse"], **image_statistics(images)},
            pixels=pixels,
            mask_convention=f"{convention}" if images.has_masks else "",
        )


@dataclass(frozen=True)
class _Alike:
    """An engine that is handed images as a table of scores hands them on: grey ones repeated."""

    engine: Engine
    task: ScoringTask

    @property
    def name(self) -> str:
        return self.engine.name

    @property
    def batch_size(self) -> int:
        return self.engine.batch_size

    def score(self, images: Sequence[NDArray[Any]], **more: Any) -> Scores:
        return self.engine.score(alike(images, self.task), **more)


def _images_of(
    listing: Listing, task: ScoringTask, normal: tuple[str, ...] | None
) -> tuple[ImageSet, Convention]:
    """The images of a listing that can be read, and how their masks are."""
    n = len(listing.names)
    labels = labels_of(listing, np.arange(n))
    # Not None: masks name the class where nothing does, and a few of them alone cannot.
    options = replace(task.options, memory_megabytes=_MEGABYTES, progress=None)
    loaded = read_pixels(replace(listing, labels=shared(labels)), options)
    found = loaded.listing
    has_labels = found.labels is not None and any(one is not None for one in found.labels)
    table = Table(
        pixels=loaded.pixels,
        paths=texts(found.names),
        labels=shared(found.labels) if has_labels and found.labels is not None else None,
        splits=shared(["test"] * len(found.names)),
        masks=None if found.masks is None or not any(found.masks) else tuple(found.masks),
        own=found.own,
        mask_convention=loaded.mask_convention,
        kind=found.kind,
        reading=found.reading,
        quarantined=tuple(found.quarantined),
        pixel_limit=options.pixel_limit,
        byte_limit=options.byte_limit,
    )
    return ImageSet(table, np.arange(len(found.names)), normal), loaded.mask_convention
