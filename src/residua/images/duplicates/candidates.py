"""Pairs of images that may be duplicates.

They are found among the nearest neighbours of every image and of its crops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from residua.images.duplicates.cells import Cells
from residua.images.duplicates.similarity import (
    COMPARED,
    FRAMES,
    WHOLE,
    Frame,
    Similarity,
    unturned,
)

# A neighbour of this rank is another picture, unless there are as many copies of one: its distance
# is the scale of the place.
_RANK = 20
_FLOOR = 0.25  # of the median scale: no place counts as denser
# The scale where there are too few images to show one: about what two random pictures have.
_UNRELATED = 1.0
_NEIGHBOURS, _OF_CROPS = 8, 4  # per image, and per crop of it
_PROBES = 4  # cells looked into per query
# Times the distance at which other pictures begin: once aligned, and before.
FURTHEST, _BEFORE = (0.8, 0.95)
_OTHERS = 300  # pairs of other pictures, to compare with
_BLOCK = 4096


@dataclass(frozen=True)
class Candidates:
    """Pairs in both orders; ``ratio`` is 1 at the distance where other pictures begin."""

    pairs: NDArray[np.int64]
    ratio: NDArray[np.float32]
    turn: NDArray[np.int8]
    cut: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ratio)

    def best(self) -> Candidates:
        """Each pair once, as it came out nearest, the nearest pairs first."""
        ends = np.sort(self.pairs, axis=1)
        order = np.lexsort((self.ratio, ends[:, 1], ends[:, 0]))
        ends = ends[order]
        is_first = np.ones(len(ends), np.bool_)
        is_first[1:] = (ends[1:] != ends[:-1]).any(axis=1)
        kept = order[is_first]
        kept = kept[np.argsort(self.ratio[kept], kind="stable")]
        return Candidates(self.pairs[kept], self.ratio[kept], self.turn[kept], self.cut[kept])


def find_candidates(
    codes: NDArray[np.float32],
    *,
    shortest_side: int = COMPARED,
    seed: int = 0,
    on_step: Callable[[int, int], None] | None = None,
) -> tuple[Candidates, Candidates]:
    """Compare every image and many crops of it with its nearest neighbours in what no turn changes.

    The second are some images with a neighbour so far down the list that it is another picture.

    Parameters
    ----------
    codes : float32 array, (n, 16, 16)
        From `encode`, of distinct images with some contrast.
    shortest_side : int
        Pixels along the shorter side of the smallest images, but for a few.
    """
    n = len(codes)
    similarity = Similarity.of(codes, shortest_side)
    unit = similarity.unit(codes)
    points = unturned(unit)
    cells = Cells(points, seed=seed)
    rank = min(_RANK, max(2, (n - 1) // 2))
    k = max(rank, _NEIGHBOURS) + 1
    rows, distances = _without_itself(
        *_in_order(cells, lambda asked: cells.nearest(points[asked], k, _PROBES, near=asked))
    )
    scale = (
        np.full(n, _UNRELATED, np.float32)
        if distances.shape[1] < rank
        else np.minimum(distances[:, rank - 1], _UNRELATED)
    )
    scale = np.maximum(scale, _FLOOR * float(np.median(scale)))
    search = _Search(codes, unit, similarity, scale)
    found = [search.compare(rows[:, :_NEIGHBOURS], distances[:, :_NEIGHBOURS], WHOLE)]
    for number, frame in enumerate(FRAMES[1:], start=1):
        if on_step is not None:
            on_step(number, len(FRAMES) - 1)
        found.append(search.crops(cells, frame))
    near = Candidates(*(np.concatenate([part[column] for part in found]) for column in range(4)))
    return near, search.others(rows[:, min(rank, rows.shape[1]) - 1], np.random.default_rng(seed))


_Near = tuple[NDArray[np.int64], NDArray[np.float32]]


def _in_order(cells: Cells, nearest: Callable[[NDArray[np.int64]], _Near]) -> _Near:
    """The neighbours of all points and their distances, computed cell by cell."""
    blocks = [
        cells.order[start : start + cells.block]
        for start in range(0, len(cells.order), cells.block)
    ]
    found = [nearest(block) for block in blocks]
    place = np.argsort(cells.order)
    return (
        np.concatenate([rows for rows, _ in found])[place],
        np.concatenate([apart for _, apart in found])[place],
    )


def _without_itself(
    rows: NDArray[np.int64], distances: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    distances = np.where(rows == np.arange(len(rows))[:, np.newaxis], np.inf, distances).astype(
        np.float32
    )
    order = np.argsort(distances, axis=1, kind="stable")[:, : max(1, rows.shape[1] - 1)]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(distances, order, 1)


_Found = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int8], NDArray[np.float32]]


@dataclass(frozen=True)
class _Search:
    codes: NDArray[np.float32]
    unit: NDArray[np.float32]
    similarity: Similarity
    scale: NDArray[np.float32]

    def crops(self, cells: Cells, frame: Frame) -> _Found:
        """Compare images cropped to `frame` with their nearest neighbours, in blocks."""

        def nearest(asked: NDArray[np.int64]) -> _Near:
            return cells.nearest(
                unturned(self.similarity.unit(self.codes[asked], frame)),
                _OF_CROPS,
                _PROBES,
                near=asked,
            )

        return self.compare(*_in_order(cells, nearest), frame)

    def others(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Candidates:
        """Up to 300 images with the neighbour that `rows` (n,) names, aligned."""
        asked = np.flatnonzero(rows >= 0)
        asked = np.sort(rng.choice(asked, min(_OTHERS, len(asked)), replace=False))
        distance, turn, cut = self.similarity.aligned(
            self.codes[asked],
            self.unit,
            np.stack([np.arange(len(asked)), rows[asked]], axis=1),
            WHOLE,
        )
        return Candidates(
            np.stack([asked, rows[asked]], axis=1),
            (distance / np.maximum(self.scale[asked], 1e-9)).astype(np.float32),
            turn,
            cut,
        )

    def compare(
        self, rows: NDArray[np.int64], distances: NDArray[np.float32], frame: Frame
    ) -> _Found:
        """The pairs of image and neighbour that come nearer than other pictures, once aligned."""
        first = np.repeat(np.arange(len(rows)), rows.shape[1])
        second, apart = rows.ravel(), distances.ravel()
        is_near = np.isfinite(apart) & (second != first)
        limit = np.minimum(self.scale[first], self.scale[second])
        is_near &= apart <= _BEFORE * limit
        pairs, limit = np.stack([first, second], axis=1)[is_near], limit[is_near]
        bounds = np.searchsorted(pairs[:, 0], np.append(np.arange(0, len(rows), _BLOCK), len(rows)))
        blocks = []
        for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            asked, place = np.unique(pairs[low:high, 0], return_inverse=True)
            distance, turn, cut = self.similarity.aligned(
                self.codes[asked], self.unit, np.stack([place, pairs[low:high, 1]], axis=1), frame
            )
            ratio = distance / np.maximum(limit[low:high], 1e-9)
            kept = ratio < FURTHEST
            blocks.append((pairs[low:high][kept], ratio[kept], turn[kept], cut[kept]))
        return tuple(np.concatenate([block[column] for block in blocks]) for column in range(4))  # type: ignore[return-value]
