"""Nearest neighbours in about linear time.

Points in small cells, each query compared with the cells nearest to it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MEMBERS = 256  # points per cell, on average
_MOST_MEMBERS = 4096  # points; a larger cell is cut
_BLOCK = 16384
_NEAR_CELLS = 512  # cells around a point's own that are looked into
_A_CELL = 32  # queries a cell and block: with fewer, going through the cells is all the work


class Cells:
    """Points (n, d) in cells around some of the points, drawn by a seed.

    A cell that fills beyond measure is cut.

    With n / 256 cells a query costs about 256 x `probes` + n / 256 distances; one that is known to
    lie near one of the points costs 256 x `probes` + 512, however many there are. A close neighbour
    is hardly ever missed, a far one may be.

    ``order`` are the rows of the points, those of one cell together; queries in that order,
    ``block`` at a time, are quickest.

    >>> cells = Cells(np.arange(10, dtype=np.float32)[:, np.newaxis])
    >>> rows, distances = cells.nearest(np.array([[4.2]], np.float32), k=2)
    >>> rows.tolist(), distances.astype(float).round(1).tolist()
    ([[4, 5]], [[0.2, 0.8]])
    """

    def __init__(self, points: NDArray[np.float32], *, seed: int = 0) -> None:
        self._points = points
        rng = np.random.default_rng(seed)
        n_cells = max(1, len(points) // _MEMBERS)
        self._centres = points[np.sort(rng.choice(len(points), n_cells, replace=False))]
        self._centres = np.stack([points[members].mean(axis=0) for members in self._parted()])
        # Before its centres are read: in tight clusters some are nearest to none, and dropped.
        parted = self._parted()
        pieces = [
            (centre, self._cut(members))
            for centre, members in zip(self._centres, parted, strict=True)
        ]
        members = [piece for _, cut in pieces for piece in cut]
        centres = [
            centre if len(cut) == 1 else points[piece].mean(axis=0)
            for centre, cut in pieces
            for piece in cut
        ]
        self._centres = np.stack(centres)
        self.order = np.concatenate(members)
        self._bounds = np.cumsum([0, *(len(one) for one in members)])
        self._points = points[self.order]  # a cell is a slice
        self._squares = np.einsum("ij,ij->i", self._points, self._points)
        self.block = max(_BLOCK, _A_CELL * len(members))
        self._cell_of = np.empty(len(points), np.int64)
        self._cell_of[self.order] = np.repeat(np.arange(len(members)), np.diff(self._bounds))
        self._near = self._nearest_cells(self._centres, min(_NEAR_CELLS, len(self._centres)))

    def _parted(self) -> list[NDArray[np.int64]]:
        """The rows nearest to each centre; centres that are nearest to none are dropped."""
        cell = self._nearest_cells(self._points, 1)[:, 0]
        order = np.argsort(cell, kind="stable")
        used, firsts = np.unique(cell[order], return_index=True)
        self._centres = self._centres[used]
        return np.split(order, firsts[1:])

    def nearest(
        self,
        queries: NDArray[np.float32],
        k: int,
        probes: int = 3,
        *,
        near: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The rows of each query's `k` nearest points and their distances, nearest first.

        -1 and inf where there are fewer.

        `near` are rows of points that the queries lie near to, one each: only the cells around
        theirs are looked into.
        """
        blocks = [slice(start, start + self.block) for start in range(0, len(queries), self.block)]
        found = [
            self._block(queries[block], k, probes, None if near is None else near[block])
            for block in blocks
        ]
        return np.concatenate([rows for rows, _ in found]), np.concatenate(
            [distances for _, distances in found]
        )

    def _block(
        self, queries: NDArray[np.float32], k: int, probes: int, near: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        probes = min(probes, len(self._centres))
        cells = (
            self._nearest_cells(queries, probes)
            if near is None or len(self._centres) <= _NEAR_CELLS
            else self._nearest_of_few(queries, probes, self._cell_of[near])
        )
        own = np.einsum("ij,ij->i", queries, queries)
        rows = np.full((len(queries), probes, k), -1, np.int64)
        squares = np.full((len(queries), probes, k), np.inf, np.float32)
        order = np.argsort(cells, axis=None, kind="stable")
        asked, firsts = np.unique(cells.ravel()[order], return_index=True)
        for cell, places in zip(asked.tolist(), np.split(order, firsts[1:]), strict=True):
            query, slot = places // probes, places % probes
            members = slice(self._bounds[cell], self._bounds[cell + 1])
            apart = self._squares[members] - 2 * (queries[query] @ self._points[members].T)
            few = min(k, apart.shape[1])
            nearest = np.argpartition(apart, few - 1, axis=1)[:, :few]
            rows[query, slot, :few] = self.order[members][nearest]
            squares[query, slot, :few] = (
                np.take_along_axis(apart, nearest, 1) + own[query, np.newaxis]
            )
        flat_rows, flat = rows.reshape(len(queries), -1), squares.reshape(len(queries), -1)
        best = np.argsort(flat, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(flat_rows, best, 1), np.sqrt(
            np.maximum(np.take_along_axis(flat, best, 1), 0)
        )

    def _nearest_cells(self, queries: NDArray[np.float32], probes: int) -> NDArray[np.int64]:
        heights = np.einsum("ij,ij->i", self._centres, self._centres)
        result = np.empty((len(queries), probes), np.int64)
        for start in range(0, len(queries), _BLOCK):
            apart = heights - 2 * (queries[start : start + _BLOCK] @ self._centres.T)
            result[start : start + _BLOCK] = (
                apart.argmin(axis=1)[:, np.newaxis]
                if probes == 1
                else np.argpartition(apart, probes - 1, axis=1)[:, :probes]
            )
        return result

    def _nearest_of_few(
        self, queries: NDArray[np.float32], probes: int, homes: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """As `_nearest_cells`, among the 512 cells nearest to the one that is each query's home."""
        result = np.empty((len(queries), probes), np.int64)
        for places in np.split(np.arange(len(queries)), np.flatnonzero(np.diff(homes)) + 1):
            few = self._near[homes[places[0]]]
            centres = self._centres[few]
            apart = np.einsum("ij,ij->i", centres, centres) - 2 * (queries[places] @ centres.T)
            result[places] = few[np.argpartition(apart, probes - 1, axis=1)[:, :probes]]
        return result

    def _cut(self, members: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Pieces of at most 4,096 points, along the coordinate in which they differ most."""
        if len(members) <= _MOST_MEMBERS:
            return [members]
        widest = int(self._points[members].std(axis=0).argmax())
        return np.array_split(
            members[np.argsort(self._points[members, widest], kind="stable")],
            -(-len(members) // _MOST_MEMBERS),
        )
