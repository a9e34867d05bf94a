"""Whether two aligned pictures share their noise.

Copies do, two photographs of parts of one shape do not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Edges of one shape agree in any two photographs of it, so they are left out: where the mean of
# both, smoothed, has more details than its noise leaves. White noise of 1 in both leaves .047 of
# them.
_LEFT_BY_NOISE, _EDGE = 0.047, 5.0
_FEWEST, _MOST_DEVIATIONS, _FLAT = 150, 3.0, 1e-6
# Independent noise correlates by .1 at most, mostly; that of copies by .5 and more, but where JPEG
# has taken it out, and then the two differ in strength.
_INDEPENDENT, _SAME_STRENGTH = 0.2, 1.6
_Picture = NDArray[np.float64]


class Noise(NamedTuple):
    """Of two aligned pictures: noise ``correlation`` and ``ratio`` of strengths, or NaN."""

    correlation: float
    ratio: float

    @property
    def is_independent(self) -> bool:
        """Whether both have noise of about one strength with nothing in common."""
        return self.correlation < _INDEPENDENT and 1 / _SAME_STRENGTH < self.ratio < _SAME_STRENGTH


_UNSEEN = Noise(float("nan"), float("nan"))


def fine(picture: _Picture) -> _Picture:
    """What of `picture` is finer than a mean of 3 x 3 pixels."""
    from scipy.ndimage import uniform_filter

    return np.asarray(picture - uniform_filter(picture, 3, mode="nearest"))


def compare_noise(
    first: _Picture,
    second: _Picture,
    resampled: tuple[Callable[[], _Picture], Callable[[], _Picture]],
) -> Noise:
    """Compare the noise of two aligned pictures (height, width) in places without edges.

    - `resampled`: two callables. White noise of 1 as each picture was resampled, which weakens it.

    >>> rng = np.random.default_rng(0)
    >>> noise = [rng.normal(size=(40, 40)) for _ in range(3)]
    >>> as_it_is = (lambda: noise[2], lambda: noise[2])
    >>> [
    ...     compare_noise(noise[0], other, as_it_is).is_independent
    ...     for other in (noise[1], noise[0] / 2)
    ... ]
    [True, False]
    """
    x, y = fine(first), fine(second)
    known = _calm(first, second) & ((np.abs(x) > _FLAT) | (np.abs(y) > _FLAT))
    x, y = x[known], y[known]
    if len(x) < _FEWEST:
        return _UNSEEN
    strengths = _deviation(x), _deviation(y)
    if min(strengths) < _FLAT:
        return _UNSEEN
    u, v = (
        np.clip(one / strength, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
        for one, strength in zip((x, y), strengths, strict=True)
    )
    correlation = float(u @ v / np.sqrt((u @ u) * (v @ v)))
    if correlation >= _INDEPENDENT:
        return Noise(correlation, float("nan"))
    left = [max(float(fine(white()).std()), 1e-9) for white in resampled]
    return Noise(correlation, strengths[1] / left[1] / (strengths[0] / left[0]))


def _calm(first: _Picture, second: _Picture) -> NDArray[np.bool_]:
    """Where neither picture has an edge, nor beside it: no details but its noise."""
    from scipy.ndimage import maximum_filter, uniform_filter

    first, second = first / max(first.std(), _FLAT), second / max(second.std(), _FLAT)
    smooth = uniform_filter(
        uniform_filter((first + second) / 2, 3, mode="nearest"), 3, mode="nearest"
    )
    noise = np.hypot(_deviation(_fourth(first)), _deviation(_fourth(second))) / np.sqrt(2)
    return np.asarray(
        maximum_filter(np.abs(fine(smooth)), 3) <= _EDGE * _LEFT_BY_NOISE * max(noise, _FLAT)
    )


def _fourth(picture: _Picture) -> _Picture:
    """Differences of differences across and along: white noise, and little of smooth forms."""
    across = picture[:, :-2] - 2 * picture[:, 1:-1] + picture[:, 2:]
    both = across[:-2] - 2 * across[1:-1] + across[2:]
    return both[np.abs(both) > _FLAT] / 6


def _deviation(values: _Picture) -> float:
    """The standard deviation of most of the values: 1.48 times the median of their size."""
    return 1.4826 * float(np.median(np.abs(values))) if values.size else 0.0


@lru_cache(maxsize=64)
def white_noise(size: tuple[int, int]) -> _Picture:
    """White noise of standard deviation 1, always the same of one size."""
    result = np.random.default_rng(0).normal(size=size)
    result.flags.writeable = False
    return result
