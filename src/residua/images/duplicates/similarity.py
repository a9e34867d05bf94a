"""What is kept of each image to find duplicates, and how far apart two images are.

Once one is turned, cropped and its contrast forgotten.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from residua.images.resize import resize

# Frequencies an axis: those kept, so that a crop can be computed, and those compared.
STORED, COMPARED = (16, 10)
# an image with a longer side is reduced first: the frequencies that are kept are far below that
_LONGEST = 160
_FINE = 512
Frame = tuple[float, float, float, float]


@lru_cache(maxsize=4096)
def cosines(
    n_pixels: int, n_frequencies: int, low: float = 0.0, high: float = 1.0
) -> NDArray[np.float32]:
    """Cosine basis of a stretch of the side, as weights of its pixels.

    (n_frequencies, n_pixels); the stretch is from `low` to `high`, in shares of the side.

    Frequencies that so few pixels cannot hold are zero.
    """
    edges = np.arange(n_pixels + 1) / n_pixels
    covered = np.clip((np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)) * n_pixels, 0, 1)
    place = ((edges[1:] + edges[:-1]) / 2 - low) / (high - low)
    frequency = np.arange(n_frequencies)[:, np.newaxis]
    waves = (
        np.cos(np.pi * frequency * place)
        * np.where(frequency == 0, 1, np.sqrt(2))
        * covered
        / covered.sum()
    )
    waves[n_pixels:] = 0
    result: NDArray[np.float32] = waves.astype(np.float32)
    result.flags.writeable = False
    return result


def encode(images: Iterable[NDArray[np.generic]], n_images: int) -> NDArray[np.float32]:
    """Cosine coefficients of each image's grey, (n_images, 16, 16); the first is its mean."""
    codes = np.zeros((n_images, STORED, STORED), np.float32)
    for row, image in enumerate(images):
        codes[row] = _encoded(image)
    return codes


def _encoded(image: NDArray[np.generic]) -> NDArray[np.float32]:
    height, width = image.shape[:2]
    if max(height, width) > _LONGEST:
        shrunk = _LONGEST / max(height, width)
        image = resize(image, (max(1, round(height * shrunk)), max(1, round(width * shrunk))))
    grey = image.astype(np.float32).mean(axis=2) / (255 if image.dtype == np.uint8 else 1)
    return np.asarray(
        cosines(grey.shape[0], STORED) @ grey @ cosines(grey.shape[1], STORED).T, np.float32
    )


@lru_cache(maxsize=256)
def cropping(low: float, high: float) -> NDArray[np.float32]:
    """Matrix (10, 16) from an axis' coefficients to those of its stretch `low` to `high`."""
    return np.asarray(
        cosines(_FINE, COMPARED, low, high) @ cosines(_FINE, STORED).T * _FINE, np.float32
    )


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
    """The measure for one set of images: frequencies are weighed by how they vary there."""

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
        """Images within `frame` as unit vectors, (n, 10, 10), whatever brightness and contrast."""
        left, right, top, bottom = frame
        cut = (
            codes[:, :COMPARED, :COMPARED]
            if frame == WHOLE
            else np.asarray(
                cropping(top, 1 - bottom) @ codes @ cropping(left, 1 - right).T, np.float32
            )
        )
        weighed = cut * self.weights
        return np.asarray(
            weighed / np.maximum(np.linalg.norm(weighed, axis=(1, 2), keepdims=True), 1e-9),
            np.float32,
        )

    def tangents(self, codes: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
        """How `unit` changes with each of the four edges of the frame, (n, 100, 4)."""
        changes = [
            self.unit(codes, _as_frame(frame + edge)) - self.unit(codes, _as_frame(frame - edge))
            for edge in np.eye(4) * _STEP
        ]
        return np.stack(
            [change.reshape(len(codes), COMPARED**2) / (2 * _STEP) for change in changes], axis=2
        )

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
        solve = np.linalg.solve(
            np.einsum("nij,nik->njk", slopes, slopes) + 1e-2 * np.eye(4, dtype=np.float32),
            slopes.transpose(0, 2, 1),
        )
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
        """The turn that suits best; None where no other is clearly better, as of symmetric ones."""
        same = (_turn(second, turn).reshape(first.shape) for turn in TURNS)
        apart = np.stack([np.linalg.norm(first - one, axis=1) for one in same], axis=1)
        apart[:, 0] *= 0.7
        return np.asarray(apart.argmin(axis=1), np.int8)


def _as_frame(edges: NDArray[np.float64]) -> Frame:
    left, right, top, bottom = edges.tolist()
    return left, right, top, bottom


def unturned(unit: NDArray[np.float32]) -> NDArray[np.float32]:
    """What of unit vectors (n, 10, 10) no turn changes, (n, 99): never further apart."""
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
