"""Large images in overlapping tiles: where they lie, cutting, and one map out of theirs."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from residua.images.channels import own_channels, with_channels
from residua.images.columns import shared, texts
from residua.images.imageset import ImageSet
from residua.images.region import Region
from residua.images.table import Table
from residua.records import Record

OVERLAP = 0.125
GREY = 128  # of 255, outside a region
_MOST_ALONG = 64
_MOST_SEEN = 20 * 256**2
"""Pixels that the network sees of an image in tiles that are chosen: about a second on one core
with what takes 50 ms for 256 x 256."""


class Box(NamedTuple):
    """A part of an image, in its own pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        """The rows of the image."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """The columns of the image."""
        return slice(self.left, self.left + self.width)


class Tiling(Record):
    """A grid of tiles that covers images of any size, and how the scores of tiles make an image's.

    Tiles of an image have one size; neighbours share about ``overlap`` of it. Each tile's score is
    standardised: less the mean of its place, over the spread (one of each where places are alike).
    The image's score is that of its highest tile, or the mean of so many of the ``highest``.

    >>> grid = Tiling(rows=1, columns=2, overlap=0.5, highest=2)
    >>> [(box.left, box.width) for box in grid.boxes(4, 6)]
    [(0, 4), (2, 4)]
    >>> grid.combine(np.array([0.25, 3.0])), grid.seen_size((4, 4))
    (1.625, (4, 6))
    """

    rows: int = Field(default=1, ge=1, le=_MOST_ALONG)
    columns: int = Field(default=1, ge=1, le=_MOST_ALONG)
    overlap: float = Field(default=OVERLAP, ge=0, le=0.5)
    means: tuple[float, ...] = (0.0,)
    spreads: tuple[float, ...] = (1.0,)
    highest: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _a_mean_and_a_spread_each(self) -> Self:
        numbers = {len(self.means), len(self.spreads)}
        if numbers not in ({1}, {self.n_places}) or min(self.spreads, default=0) <= 0:
            raise ValueError("means and spreads must be one, or one a place, and spreads above 0")
        return self

    @property
    def n_places(self) -> int:
        """Tiles of an image."""
        return self.rows * self.columns

    def boxes(self, height: int, width: int) -> list[Box]:
        """Where the tiles of an image lie, row by row; every pixel is in one at least."""
        down, across = (
            _axis(height, self.rows, self.overlap),
            _axis(width, self.columns, self.overlap),
        )
        return [Box(top, left, len(one), len(other)) for top, one in down for left, other in across]

    def weights(self, height: int, width: int, place: int) -> NDArray[np.float32]:
        """How much of the map comes from a tile at each of its pixels, (height, width).

        The weights fall to the tile's edges, and those of all tiles sum to 1 at every pixel.
        """
        row, column = divmod(place, self.columns)
        _, down = _axis(height, self.rows, self.overlap)[row]
        _, across = _axis(width, self.columns, self.overlap)[column]
        return down[:, None] * across

    def seen_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of a whole image at the scale at which `size` shows a tile."""
        height, width = (
            round(side * _tiles_long(n, self.overlap))
            for side, n in zip(size, (self.rows, self.columns), strict=True)
        )
        return height, width

    def combine(self, scores: NDArray[Any]) -> float:
        """An image's score from its tiles' (n_places,), NaN where none is looked at."""
        standard = self.standard(scores)
        return float(np.sort(standard[~np.isnan(standard)])[-self.highest :].mean())

    def standard(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Each tile's score less the mean of its place, over the spread, (..., n_places)."""
        return np.asarray((np.asarray(scores, np.float64) - self.means) / self.spreads)

    def standardised(self, scores: NDArray[Any]) -> Tiling:
        """The same grid with the means and spreads of the tiles of normal images.

        `scores` are those of images that the model did not learn from, (n_images, n_places), NaN
        where a tile is not looked at. A place keeps its own mean as far as the means of places
        differ more than chance has it: shrunk to the mean of all by 1 - 1 / F, of the analysis of
        variance, and not at all where F could be chance (1%).
        """
        from scipy.stats import f as f_distribution

        scores = np.asarray(scores, np.float64)
        known = ~np.isnan(scores)
        counts, n, centre = known.sum(0), int(known.sum()), float(scores[known].mean())
        used = counts > 0
        own = np.where(used, np.where(known, scores, 0).sum(0) / np.maximum(counts, 1), centre)
        within = np.where(known, scores - own, 0)
        free = n - int(used.sum())
        spread = max(float(scores[known].std()), _TINY * abs(centre), 1e-30)
        if used.sum() > 1 and free > 0 and (variance := float((within**2).sum() / free)) > 0:
            n_between = int(used.sum()) - 1
            ratio = float((counts * (own - centre) ** 2).sum() / n_between / variance)
            if f_distribution.sf(ratio, n_between, free) < _BY_CHANCE:
                means = centre + (1 - 1 / ratio) * (own - centre)
                squares = np.where(known, scores - means, 0) ** 2
                spreads = np.sqrt((squares.sum(0) + _AS_IF * variance) / (counts + _AS_IF))
                return self.model_copy(
                    update={"means": tuple(means.tolist()), "spreads": tuple(spreads.tolist())}
                )
        return self.model_copy(update={"means": (centre,), "spreads": (spread,)})


_TINY = 1e-6
_BY_CHANCE = 0.01
_AS_IF = 10  # images with the spread of all places, that each place is given beside its own


class Framing(NamedTuple):
    """What a model looks at in an image: tiles of it, or of the box around a region."""

    tiling: Tiling = Tiling()
    region: Region | None = None

    def extent(self, height: int, width: int) -> Box:
        """What the tiles cover: an image of this size, or the box around the region in it."""
        if self.region is None:
            return Box(0, 0, height, width)
        rows, columns = self.region.extent(height, width)
        return Box(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)

    def boxes(self, height: int, width: int) -> list[Box]:
        """Where the tiles lie in an image of this size."""
        top, left, *covered = self.extent(height, width)
        boxes = self.tiling.boxes(*covered)
        return [Box(top + box.top, left + box.left, box.height, box.width) for box in boxes]

    def places(self, height: int, width: int) -> list[int]:
        """The tiles that hold a pixel of the region."""
        boxes = self.boxes(height, width)
        return [
            place
            for place, box in enumerate(boxes)
            if self.region is None or self.region.mask(height, width, box.rows, box.columns).any()
        ]

    def seen_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of a whole image at the scale at which `size` shows a tile."""
        covered = self.tiling.seen_size(size)
        if self.region is None:
            return covered
        stored = (self.region.height, self.region.width)
        box = self.extent(*stored)
        height, width = (
            round(seen * of / part)
            for seen, of, part in zip(covered, stored, (box.height, box.width), strict=True)
        )
        return height, width

    def cut(self, image: NDArray[Any], place: int) -> NDArray[Any]:
        """A tile, (h, w, c); outside the region it is mid-grey."""
        height, width = image.shape[:2]
        box = self.boxes(height, width)[place]
        tile = np.ascontiguousarray(own_channels(image)[box.rows, box.columns])
        if self.region is not None:
            inside = self.region.mask(height, width, box.rows, box.columns)
            grey = np.array(GREY if image.dtype == np.uint8 else GREY / 255, image.dtype)
            tile = np.where(inside[..., None], tile, grey)
        return with_channels(tile, image.shape[-1])

    def within(self, values: NDArray[Any], height: int, width: int, place: int) -> NDArray[Any]:
        """A tile's map, 0 outside the region."""
        if self.region is None:
            return values
        box = self.boxes(height, width)[place]
        return values * self.region.mask(height, width, box.rows, box.columns)

    def cut_all(self, images: ImageSet) -> ImageSet:
        """All tiles as images of their own; the group of each is its image's, else the image.

        So no image is torn between what is learnt from and what is held out.
        """
        if self.tiling.n_places == 1 and self.region is None:
            return images
        pixels = _Tiles(images, self)
        parents, paths = pixels.parents, images.paths
        groups = paths if images.groups is None else images.groups
        names = np.array(
            [paths[row] if one is None else one for row, one in enumerate(groups)], object
        )
        n = len(parents)
        table = Table(
            pixels=pixels,
            paths=texts(
                f"{paths[row]} tile {place + 1}"
                for row, place in zip(parents, pixels.at, strict=True)
            ),
            labels=None,
            splits=shared(["train"] * n),
            groups=shared(names[parents].tolist()),
            source=images.source,
            kind=images.kind,
            reading=images.reading,
        )
        return ImageSet(table, np.arange(n))


class Stitched:
    """One picture out of those of the tiles, (height, width) or with channels behind.

    Tiles are added one at a time; memory holds the picture alone. Where no tile lies, `ground`
    stays.
    """

    def __init__(
        self, framing: Framing, height: int, width: int, *channels: int, ground: float = 0
    ) -> None:
        self._tiling, self._extent = framing.tiling, framing.extent(height, width)
        self._boxes = framing.boxes(height, width)
        self.whole = np.full((height, width, *channels), ground, np.float32)
        self.whole[self._extent.rows, self._extent.columns] = 0

    def add(self, place: int, values: NDArray[Any]) -> None:
        """The picture of the tile at `place`, as large as the tile."""
        weights = self._tiling.weights(self._extent.height, self._extent.width, place)
        box = self._boxes[place]
        weighted = values * (weights if values.ndim == 2 else weights[..., None])
        self.whole[box.rows, box.columns] += weighted


class _Tiles:
    """The tiles of a set of images as pixels, cut when they are asked for."""

    def __init__(self, images: ImageSet, framing: Framing) -> None:
        self._images, self._framing = images, framing
        self._last: tuple[int, NDArray[Any]] | None = None  # the image that was read last
        self.dtype, self.channels = images.dtype, images.channels
        of_size = {
            (height, width): framing.places(height, width)
            for height, width in {tuple(one) for one in images.sizes.tolist()}
        }
        pairs = [
            (row, place, *framing.boxes(*size)[place][2:])
            for row, size in enumerate(map(tuple, images.sizes.tolist()))
            for place in of_size[size]
        ]
        found = np.asarray(pairs, np.int64).reshape(-1, 4)
        self.parents, self.at, self.sizes = found[:, 0], found[:, 1], found[:, 2:]

    @property
    def byte_digests(self) -> NDArray[np.uint8]:
        """Those of the images that the tiles are of."""
        return self._images.byte_digests[self.parents]

    @property
    def pixel_digests(self) -> NDArray[np.uint8]:
        """Those of the images that the tiles are of."""
        return self._images.pixel_digests[self.parents]

    def read(self, rows: NDArray[np.int64]) -> list[NDArray[Any]]:
        """The tiles in these rows."""
        return [self._framing.cut(self._parent(self.parents[row]), self.at[row]) for row in rows]

    def _parent(self, row: int) -> NDArray[Any]:
        if self._last is None or self._last[0] != row:
            self._last = row, self._images[int(row)]
        return self._last[1]


def choose_tiling(sizes: NDArray[Any], side: int, asked: int | str) -> tuple[Tiling | None, str]:
    """The grid for images of these `sizes` (n, 2), and the sentence that says so.

    None where the whole image is seen as it is, or tiles would be enlarged.

    `side` is the longer side that the network sees. A number `asked` is that of tiles along the
    shorter side of the images; the longer side gets as many more as keeps tiles about square.
    ``auto``: as many as show each pixel, within a bound on what the network sees of an image.
    """
    height, width = (float(one) for one in np.median(sizes, axis=0))
    most = [min(_MOST_ALONG, max(1, math.floor(_n_along(one / side)))) for one in (height, width)]
    wanted = max(most) if asked == "auto" else int(asked)
    bound = max(2, _MOST_SEEN // side**2) if asked == "auto" else _MOST_ALONG**2
    chosen = (1, 1)
    for along in range(wanted, 0, -1):
        rows, columns = _grid(along, height, width)
        rows, columns = min(rows, most[0]), min(columns, most[1])
        if rows * columns <= bound:
            chosen = rows, columns
            break
    of = f"{height:.0f}x{width:.0f}" + (" (medians)" if np.ptp(sizes, axis=0).any() else "")
    if chosen == (1, 1):
        return (
            None,
            f"images of {of} are not cut into tiles, being smaller or hardly larger than {side} px",
        )
    grid = Tiling(rows=chosen[0], columns=chosen[1])
    box = grid.boxes(round(height), round(width))[0]
    words = (
        f"images of {of} (height x width) are cut into {grid.rows} x {grid.columns} tiles of"
        f" {box.height}x{box.width}, which overlap by {OVERLAP:.1%}"
    )
    if asked != "auto" and chosen != _grid(wanted, height, width):
        words += f"; fewer than --tiles {asked} asks for, which would be enlarged to {side} px"
    return grid, words


def _grid(along: int, height: float, width: float) -> tuple[int, int]:
    """Rows and columns with `along` tiles on the shorter side, tiles about square."""
    longer = max(1, round(along * max(height, width) / min(height, width)))
    return (longer, along) if height > width else (along, longer)


def _n_along(times: float) -> float:
    """Tiles, with their overlaps, on a side that is so many tiles long; see `_tiles_long`."""
    return (times - OVERLAP) / (1 - OVERLAP)


def _tiles_long(n: int, overlap: float) -> float:
    return n - (n - 1) * overlap


@lru_cache(maxsize=64)
def _axis(length: int, n: int, overlap: float) -> list[tuple[int, NDArray[np.float32]]]:
    """Of each of the `n` tiles along a side its first pixel, and the weights of its pixels.

    Weights rise from an edge that a neighbour overlaps, and sum to 1 at every pixel.
    """
    long = min(length, math.ceil(length / _tiles_long(n, overlap)))
    starts = [round(place * (length - long) / max(1, n - 1)) for place in range(n)]
    positions, total = np.arange(long, dtype=np.float64), np.zeros(length)
    ramps = []
    for place, start in enumerate(starts):
        weights = np.ones(long)
        if place:
            shared_with = starts[place - 1] + long - start
            weights = np.minimum(weights, (positions + 1) / (shared_with + 1))
        if place < n - 1:
            shared_with = start + long - starts[place + 1]
            weights = np.minimum(weights, (long - positions) / (shared_with + 1))
        total[start : start + long] += weights
        ramps.append(weights)
    return [
        (start, (weights / total[start : start + long]).astype(np.float32))
        for start, weights in zip(starts, ramps, strict=True)
    ]
