"""Two pictures laid on each other pixel by pixel.

How much of the one the other explains, and by which change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from residua.images.duplicates.noise import Noise, compare_noise, fine, white_noise
from residua.images.duplicates.similarity import TURNS
from residua.images.resize import resize

# Longer side: kept finer than compared, so that a crop is not blurred by enlarging it.
_KEPT, _COMPARED = (96, 48)
# Shares of a side that an edge may lie at; below 0 it lies outside.
_LEAST_CUT, _MOST_CUT = -0.03, 0.16
_LARGEST_STEP = 0.03  # share of a side that an edge moves in one round
_ROUNDS = 3  # of Gauss-Newton
_Picture = NDArray[np.float64]


@dataclass(frozen=True)
class Alignment:
    """What became of one picture in another.

    ``details`` is the correlation of what is finer than a 3 x 3 mean, 1 for the same picture, about
    0 for another one with the same coarse forms. ``cut`` are the shares cut off left, right, top,
    bottom; ``contrast`` the ratio of standard deviations, ``brightness`` the difference of means,
    ``sizes`` height and width of both before they were reduced; ``noise`` compares what is left
    where the picture is calm.
    """

    details: float
    unexplained: float
    turn: int
    cut: tuple[float, float, float, float]
    contrast: float
    brightness: float
    sizes: tuple[tuple[int, int], tuple[int, int]]
    noise: Noise


@dataclass(frozen=True)
class ReducedImage:
    """An image to align: grey, at most 96 pixels long; ``size`` is what it was before."""

    pixels: _Picture
    size: tuple[int, int]

    @classmethod
    def of(cls, image: NDArray[np.generic]) -> ReducedImage:
        """Reduce an image (height, width, channels), uint8 or float in [0, 1]."""
        height, width = image.shape[:2]
        longest = max(height, width)
        if longest > _KEPT:
            image = resize(
                image,
                (max(1, round(height * _KEPT / longest)), max(1, round(width * _KEPT / longest))),
            )
        return cls(
            np.asarray(
                image.astype(np.float64).mean(axis=2) / (255 if image.dtype == np.uint8 else 1)
            ),
            (height, width),
        )

    def turned(self, turn: int) -> ReducedImage:
        """The same picture turned by one of the eight `TURNS`."""
        transposed, vertical, horizontal = TURNS[turn]
        pixels = self.pixels.T if transposed else self.pixels
        pixels = pixels[::-1] if vertical else pixels
        return ReducedImage(
            pixels[:, ::-1] if horizontal else pixels, self.size[::-1] if transposed else self.size
        )


def align(
    first: ReducedImage, second: ReducedImage, turn: int, cut: NDArray[np.float32]
) -> Alignment:
    """Move the edges of `first` until it fits `second` best (Gauss-Newton).

    The edges start from `cut`, and `second` is turned by `turn`.

    Brightness may have changed by any cubic, which follows a curve that is cut off at white, and
    the larger picture is reduced to the smaller one's size: neither counts as a difference.
    """
    turned = second.turned(turn)
    a, b = first.pixels, turned.pixels
    size = min(a.shape[0], b.shape[0]), min(a.shape[1], b.shape[1])
    shrunk = min(1.0, _COMPARED / max(size))
    size = max(1, round(size[0] * shrunk)), max(1, round(size[1] * shrunk))
    aim = _resized(b, size)
    best = _fit(a, aim, np.clip(np.asarray(cut, np.float64), _LEAST_CUT, _MOST_CUT))
    for _ in range(_ROUNDS):
        tried = _fit(a, aim, _better_edges(a, aim, best))
        gain = best.unexplained - tried.unexplained
        best = tried if gain > 0 else best
        if gain < 0.02 * best.unexplained:
            break
    whole = _fit(a, aim, np.zeros(4))
    if whole.unexplained <= 1.2 * best.unexplained + 0.01:
        best = whole
    left, right, top, bottom = best.edges.tolist()
    return Alignment(
        details=max(_alike(best.framed, aim), _alike(aim, best.framed)),
        unexplained=best.unexplained,
        turn=turn,
        cut=(left, right, top, bottom),
        contrast=float(aim.std() / max(best.framed.std(), 1e-6)),
        brightness=float(aim.mean() - best.framed.mean()),
        sizes=(first.size, turned.size),
        noise=compare_noise(
            best.framed,
            aim,
            (
                lambda: _framed(white_noise((a.shape[0], a.shape[1])), size, best.edges),
                lambda: _resized(white_noise((b.shape[0], b.shape[1])), size),
            ),
        ),
    )


@dataclass(frozen=True)
class _Fit:
    edges: _Picture
    framed: _Picture
    powers: _Picture
    coefficients: _Picture
    explained: _Picture
    unexplained: float


def _fit(picture: _Picture, aim: _Picture, edges: _Picture) -> _Fit:
    """The part of `picture` between the edges as like `aim` as a cubic of brightness makes it."""
    framed = _framed(picture, aim.shape, edges)
    powers = _powers(framed)
    coefficients = _solved(powers, aim.ravel())
    explained = (powers @ coefficients).reshape(aim.shape)
    rest = float(np.linalg.norm(aim - explained)) / max(
        float(np.linalg.norm(aim - aim.mean())), 1e-6
    )
    return _Fit(edges, framed, powers, coefficients, explained, rest)


def _powers(picture: _Picture) -> _Picture:
    z = ((picture - picture.mean()) / max(picture.std(), 1e-6)).ravel()
    square = z * z
    return np.stack([np.ones(z.size), z, square, square * z], axis=1)


def _alike(shown: _Picture, aim: _Picture) -> float:
    """The correlation of details, `shown` as bright as `aim`; white that was cut counts once."""
    powers = _powers(shown)
    return _correlation(fine(aim), fine((powers @ _solved(powers, aim.ravel())).reshape(aim.shape)))


def _better_edges(picture: _Picture, aim: _Picture, fit: _Fit) -> _Picture:
    step = 0.25 / min(aim.shape)
    slope = fit.powers[:, :3] @ (fit.coefficients[1:] * (1, 2, 3)) / max(fit.framed.std(), 1e-6)
    left, right, top, bottom = fit.edges.tolist()
    down, downs = _moved(picture.shape[0], aim.shape[0], top, bottom, step)
    across, acrosses = _moved(picture.shape[1], aim.shape[1], left, right, step)
    along, beside = down @ picture, picture @ across.T
    changes = [along @ change.T for change in acrosses] + [change @ beside for change in downs]
    columns = [slope * change.ravel() / (2 * step) for change in changes]
    solved = _solved(
        np.concatenate([fit.powers, np.stack(columns, axis=1)], axis=1),
        (aim - fit.explained).ravel(),
    )
    return np.asarray(
        np.clip(
            fit.edges + np.clip(solved[-4:], -_LARGEST_STEP, _LARGEST_STEP), _LEAST_CUT, _MOST_CUT
        )
    )


def _solved(design: _Picture, values: _Picture) -> _Picture:
    """Least squares by normal equations, held back a little: a picture may have no slope."""
    lengths = np.maximum(np.linalg.norm(design, axis=0), 1e-9)
    scaled = design / lengths
    return np.asarray(
        np.linalg.solve(scaled.T @ scaled + 1e-6 * np.eye(scaled.shape[1]), scaled.T @ values)
        / lengths
    )


def _framed(picture: _Picture, size: tuple[int, ...], edges: _Picture) -> _Picture:
    left, right, top, bottom = edges.tolist()
    rows = _weights(picture.shape[0], size[0], top, 1 - bottom)
    return np.asarray(rows @ picture @ _weights(picture.shape[1], size[1], left, 1 - right).T)


def _moved(
    n_in: int, n_out: int, low: float, high: float, step: float
) -> tuple[_Picture, list[_Picture]]:
    """The weights of one axis, and how they change with either edge moved by `step` both ways."""
    there = [
        _weights(n_in, n_out, low + before, 1 - high - after)
        for before, after in ((0.0, 0.0), (step, 0.0), (-step, 0.0), (0.0, step), (0.0, -step))
    ]
    return there[0], [there[1] - there[2], there[3] - there[4]]


def _weights(n_in: int, n_out: int, low: float, high: float) -> _Picture:
    """`resize_weights` for the stretch from `low` to `high` of the side."""
    scale = n_in * (high - low) / n_out
    centres = low * n_in + (np.arange(n_out) + 0.5) * scale
    distance = np.abs(
        np.clip(centres, 0.5, n_in - 0.5)[:, np.newaxis] - np.arange(n_in) - 0.5
    ) / max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - distance)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _resized(picture: _Picture, size: tuple[int, int]) -> _Picture:
    return np.asarray(resize(picture[..., np.newaxis].astype(np.float32), size)[..., 0], np.float64)


def _correlation(first: _Picture, second: _Picture) -> float:
    a, b = first.ravel() - first.mean(), second.ravel() - second.mean()
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))
