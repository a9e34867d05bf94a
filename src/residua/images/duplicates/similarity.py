"""How far apart two images are once one is turned, cropped and its contrast forgotten."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from residua.images.duplicates.codes import COMPARED, Frame, cropping

WHOLE: Frame = (0.0, 0.0, 0.0, 0.0)
# The crops that are tried, by what is cut off at both ends of an axis. What lies between them is
# found by a linear step from the nearest; a crop that is off centre moves the picture more than one
# that only enlarges it, so those lie closer.
_ENDS = ((0.0, 0.0), (0.05, 0.0), (0.0, 0.05), (0.035, 0.035), (0.07, 0.04), (0.04, 0.07))
FRAMES: tuple[Frame, ...] = tuple((*across, *along) for across in _ENDS for along in _ENDS)
# Transposed, flipped top to bottom, flipped left to right.
TURNS = tuple(itertools.product((False, True), repeat=3))
_STEP = 0.004  # share of a side, to measure a slope by
_LARGEST_STEP = 0.04  # share of a side that an edge may move
_ALPHA = 0.75  # power of the standard deviation; 1 would be whitening


@dataclass(frozen=True)
class Similarity:
    """The measure, made for one set of images.

    Frequencies are weighed by how much they vary there.
    """

    weights: NDArray[np.float32]

    @classmethod
    def of(cls, codes: NDArray[np.float32], shortest_side: int = COMPARED) -> Similarity:
        """Weigh each frequency by its standard deviation to the power -3/4.

        Half-way to whitening and beyond.

        What a picture of `shortest_side` pixels can't hold does not count.
        """
        spread = np.sqrt(np.square(codes[:, :COMPARED, :COMPARED], dtype=np.float64).mean(axis=0))
        spread = (spread + spread.T) / 2
        spread[0, 0] = 0
        weights = np.maximum(spread, 1e-3 * max(float(spread.max()), 1e-9)) ** -_ALPHA
        weights[0, 0] = 0
        held = max(3, shortest_side)
        weights[held:], weights[:, held:] = 0, 0
        return cls(weights.astype(np.float32))

    def unit(self, codes: NDArray[np.float32], frame: Frame = WHOLE) -> NDArray[np.float32]:
        """The part of each image within `frame` as a unit vector, (n, 10, 10).

        Brightness and contrast do not count.
        """
        left, right, top, bottom = frame
        if frame == WHOLE:
            cut = codes[:, :COMPARED, :COMPARED]
        else:
            cut = np.asarray(
                cropping(top, 1 - bottom) @ codes @ cropping(left, 1 - right).T, np.float32
            )
        weighed = cut * self.weights
        return np.asarray(
            weighed / np.maximum(np.linalg.norm(weighed, axis=(1, 2), keepdims=True), 1e-9),
            np.float32,
        )

    def tangents(self, codes: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
        """How `unit` changes with each of the four edges of the frame, (n, 100, 4)."""
        sides = []
        for edge in np.eye(4) * _STEP:
            more, less = (self.unit(codes, _as_frame(frame + sign * edge)) for sign in (1, -1))
            sides.append((more - less).reshape(len(codes), COMPARED**2) / (2 * _STEP))
        return np.stack(sides, axis=2)

    def aligned(
        self,
        codes: NDArray[np.float32],
        others: NDArray[np.float32],
        pairs: NDArray[np.int64],
        frame: Frame,
    ) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.float32]]:
        """Compare images cropped to about `frame` with whole images, in the turn that suits best.

        Parameters
        ----------
        codes : float32 array, (n, 16, 16)
        others : float32 array, (m, 10, 10)
            From `unit`.
        pairs : int array, (p, 2)
            Rows of `codes` and of `others`.

        Returns
        -------
        distance : float32 array, (p,)
            Between unit vectors: 0 is the same picture, 1.4 has nothing in common.
        turn : int8 array, (p,)
            Which of the eight `TURNS` of the second is like the first.
        cut : float32 array, (p, 4)
            The frame after the linear step.
        """
        framed = self.unit(codes, frame).reshape(len(codes), COMPARED**2)
        slopes = self.tangents(codes, frame)
        normal = np.einsum("nij,nik->njk", slopes, slopes) + 1e-2 * np.eye(4, dtype=np.float32)
        solve = np.linalg.solve(normal, slopes.transpose(0, 2, 1))
        first, second = framed[pairs[:, 0]], others[pairs[:, 1]]
        turn = self._best_turn(first, second)
        rest = _turned(second, turn).reshape(first.shape) - first
        step = np.clip(
            np.einsum("pji,pi->pj", solve[pairs[:, 0]], rest), -_LARGEST_STEP, _LARGEST_STEP
        )
        rest -= np.einsum("pij,pj->pi", slopes[pairs[:, 0]], step)
        return (
            np.linalg.norm(rest, axis=1),
            turn,
            (np.asarray(frame, np.float32) + step).astype(np.float32),
        )

    def _best_turn(
        self, first: NDArray[np.float32], second: NDArray[np.float32]
    ) -> NDArray[np.int8]:
        """The turn that suits best.

        None, where no other is clearly better: many pictures are symmetric.
        """
        apart = np.empty((len(first), len(TURNS)), np.float32)
        for number, turn in enumerate(TURNS):
            same = _turn(second, turn).reshape(first.shape)
            apart[:, number] = np.linalg.norm(first - same, axis=1)
        apart[:, 0] *= 0.7
        return np.asarray(apart.argmin(axis=1), np.int8)


def _as_frame(edges: NDArray[np.float64]) -> Frame:
    left, right, top, bottom = edges.tolist()
    return left, right, top, bottom


def unturned(unit: NDArray[np.float32]) -> NDArray[np.float32]:
    """What of unit vectors (n, 10, 10) no turn changes, (n, 99).

    Never further apart than the images in their best turn.
    """
    size = np.abs(unit)
    mirrored = size.transpose(0, 2, 1)
    rows, columns = np.triu_indices(COMPARED)
    rows, columns = rows[1:], columns[1:]
    is_apart = rows != columns
    larger, smaller = np.maximum(size, mirrored), np.minimum(size, mirrored)
    return np.concatenate(
        [larger[:, rows, columns], smaller[:, rows[is_apart], columns[is_apart]]], axis=1
    )


def _turned(unit: NDArray[np.float32], turn: NDArray[np.int8]) -> NDArray[np.float32]:
    result = np.empty_like(unit)
    for number, one in enumerate(TURNS):
        chosen = turn == number
        if chosen.any():
            result[chosen] = _turn(unit[chosen], one)
    return result


def _turn(unit: NDArray[np.float32], turn: tuple[bool, ...]) -> NDArray[np.float32]:
    transposed, vertical, horizontal = turn
    sign = (-1.0) ** np.arange(unit.shape[-1], dtype=np.float32)
    turned = unit.transpose(0, 2, 1) if transposed else unit
    if vertical:
        turned = turned * sign[:, np.newaxis]
    return turned * sign if horizontal else turned
