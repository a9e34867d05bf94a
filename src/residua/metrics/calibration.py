"""How far stated confidence is from the share that is right, without the part that chance adds.

In every bin of confidence the gap between the two is seen with noise, and a mean of absolute gaps
counts the noise: a calibrated model never reaches 0. Here the population's error is bounded by the
values at which chance would give the observed mean of gaps too rarely. Noise adds least to it where
all gaps are alike in standard errors, which bounds the error from above, and most where bins that
show no gap have none, which bounds it from below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from residua.metrics.intervals import rate_interval

Floats = NDArray[np.float64]
_BINS, _DRAWS, _HALVINGS = 15, 1000, 20


@dataclass(frozen=True)
class CalibrationError:
    """The error with the part of chance taken off, its bounds, and the mean of gaps as observed."""

    value: float
    low: float
    high: float
    observed: float


def calibration_error_of(
    confidence: Floats,
    right: NDArray[np.bool_],
    *,
    level: float = 0.95,
    spread: float = 1.0,
    seed: int = 0,
) -> CalibrationError:
    """The calibration error of the population in 15 bins of even width, with its bounds.

    It is the mean over the bins, by their share of the population, of the absolute gap between mean
    confidence and the share that is right.

    Parameters
    ----------
    confidence : array in [0, 1], (n_images,)
        The largest probability of each image.
    right : bool array, (n_images,)
        Whether it is that of the true class.
    level : float in (0, 1)
    spread : float
        By how much standard errors are larger than those of independent images.
    seed : int
        Of the simulated noise.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> confidence = rng.uniform(0.5, 1, 500)
    >>> told = calibration_error_of(confidence, rng.random(500) < confidence)
    >>> told.low, round(told.value, 2), round(told.high, 2), round(told.observed, 2)
    (0.0, 0.02, 0.07, 0.04)
    """
    gaps = _Gaps.read(confidence, right, spread, np.random.default_rng(seed))
    tail = (1 - level) / 2
    low = max(gaps.observed - gaps.floor(1 - tail), 0.0)
    value = max(gaps.error_at(0.5, np.abs(gaps.seen)), low)
    # A mean gap of all images is one that the accuracy does not exclude.
    accuracy = rate_interval(
        round(float(right.mean()) * (n := max(round(len(right) / spread**2), 1))),
        n,
        confidence=level,
    )
    mean = float(confidence.mean())
    overall = max(mean - (accuracy.low or 0.0), (accuracy.high or 1.0) - mean)
    high = max(gaps.error_at(tail, gaps.errors), value, overall)
    return CalibrationError(value, low, min(high, 1.0), gaps.observed)


@dataclass(frozen=True)
class _Gaps:
    """Gaps of the bins that hold images, each times its share of the images, and their noise.

    ``noise`` are draws (n_draws, n_bins), ``of_sizes`` (n_draws,) what the sizes of the bins add.
    """

    seen: Floats
    errors: Floats
    noise: Floats
    of_sizes: Floats

    @classmethod
    def read(
        cls,
        confidence: Floats,
        right: NDArray[np.bool_],
        spread: float,
        rng: np.random.Generator,
    ) -> _Gaps:
        n = len(confidence)
        place = np.clip(np.ceil(confidence * _BINS).astype(np.int64) - 1, 0, _BINS - 1)
        counts = np.bincount(place, minlength=_BINS)
        stated, hits, if_calibrated = (
            np.bincount(place, values, _BINS)[counts > 0]
            for values in (confidence, right, confidence * (1 - confidence))
        )
        counts = counts[counts > 0]
        seen = (stated - hits) / n
        as_observed = hits * (1 - hits / counts)
        errors = spread * np.sqrt(np.maximum(if_calibrated, as_observed)) / n
        per_image = np.abs(seen) * n / counts
        of_sizes = max(float((per_image**2 * counts).sum() / n - np.abs(seen).sum() ** 2), 0.0)
        return cls(
            seen,
            errors,
            errors * rng.normal(size=(_DRAWS, len(counts))),
            spread * (of_sizes / n) ** 0.5 * rng.normal(size=_DRAWS),
        )

    @property
    def observed(self) -> float:
        return float(np.abs(self.seen).sum())

    def floor(self, quantile: float) -> float:
        """What chance adds where bins without a clear gap have none."""
        clear = np.abs(self.seen) > np.sqrt(2 * np.log(max(len(self.seen), 2))) * self.errors
        added = np.where(clear, self.noise, np.abs(self.noise)).sum(axis=1)
        return float(np.quantile(added + self.of_sizes, quantile))

    def error_at(self, quantile: float, direction: Floats) -> float:
        """The error, with gaps in this proportion, at which the observed mean is this quantile."""
        total = float(direction.sum())
        if total == 0:
            return 0.0

        def excess(error: float) -> float:
            drawn = np.abs(error / total * direction + self.noise).sum(axis=1) + self.of_sizes
            return float(np.quantile(drawn, quantile)) - self.observed

        return _crossing(excess)


def _crossing(rising: Callable[[float], float]) -> float:
    """Where a function of [0, 1] passes 0; an end where it does not."""
    low, high = 0.0, 1.0
    if rising(low) >= 0:
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return high
