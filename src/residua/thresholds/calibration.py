"""The calibration scores as policies see them.

Sorted, split by label, with the places where a threshold can lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from residua.metrics.groups import Groups

Scores = NDArray[Any]
Promised = Literal["new-groups", "known-groups"]
"""What a bound from grouped images is to hold for."""
PROMISED: tuple[str, ...] = get_args(Promised)


@dataclass(frozen=True)
class Cuts:
    """Every way to cut the calibration scores in two, from "everything is flagged" to "nothing is".

    All arrays have one entry a cut: how many anomalous and how many normal scores lie above it.
    """

    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]


@dataclass(frozen=True)
class Calibration:
    """Scores of normal and of anomalous images, each sorted upwards.

    `is_labelled` is False where no labels were given and every image is taken for normal.
    `prevalence` is the assumed share of anomalies where the detector will work; None stands for the
    calibration set's own. The groups are those of either kind, in the order of its scores; None
    where every image is its own. `contamination` is the share of the images taken for normal that
    may be hidden anomalies.
    """

    normal: Scores
    anomalous: Scores
    confidence: float = 0.95
    prevalence: float | None = None
    is_labelled: bool = True
    normal_groups: Groups | None = None
    anomalous_groups: Groups | None = None
    promised: Promised = "new-groups"
    contamination: float = 0.0

    @cached_property
    def distinct(self) -> Scores:
        """The distinct scores of all calibration images, upwards."""
        return np.unique(np.concatenate([self.normal, self.anomalous]))

    @property
    def assumed_prevalence(self) -> float:
        """Share of anomalies that precision and cost are computed for."""
        if self.prevalence is not None:
            return self.prevalence
        return len(self.anomalous) / (len(self.normal) + len(self.anomalous))

    @property
    def prevalence_words(self) -> str:
        """Where `assumed_prevalence` comes from, for the words of how."""
        origin = "as in the calibration set" if self.prevalence is None else "as you said"
        return (
            f"assuming that {percent(self.assumed_prevalence)} of the images are anomalous,"
            f" {origin}"
        )

    def threshold(self, cut: int) -> float:
        """The threshold of one cut: exactly the scores ``distinct[cut:]`` lie above it."""
        scores = self.distinct
        if cut == 0:
            return below_all(scores)
        return above_all(scores) if cut == len(scores) else midway(scores[cut - 1], scores[cut])

    def just_above(self, score: float) -> float:
        """The lowest threshold that does not flag `score`."""
        return self.threshold(int(np.searchsorted(self.distinct, score, side="right")))

    def just_below(self, score: float) -> float:
        """The highest threshold that flags `score`."""
        return self.threshold(int(np.searchsorted(self.distinct, score, side="left")))

    def cuts(self) -> Cuts:
        """What each of the ``len(distinct) + 1`` cuts would flag."""
        return Cuts(
            _counts_above(self.anomalous, self.distinct), _counts_above(self.normal, self.distinct)
        )

    def place(self, threshold: float) -> str:
        """Where `threshold` lies among the calibration scores, in words."""
        scores = self.distinct
        if threshold >= scores[-1]:
            if len(scores) == 1:
                return (
                    "The threshold is the next float32 above the only calibration score there is."
                )
            return (
                "It lies above every calibration score, by half the distance between the two"
                " highest. No calibration image shows how high it should be."
            )
        if threshold < scores[0]:
            return "It lies below every calibration score: it flags all of them."
        return "It lies midway between two neighbouring calibration scores."


def _counts_above(sorted_scores: Scores, distinct: Scores) -> NDArray[np.int64]:
    n_at_or_above = len(sorted_scores) - np.searchsorted(sorted_scores, distinct, side="left")
    return np.append(n_at_or_above, 0).astype(np.int64)


def midway(lower: float, upper: float) -> float:
    """A threshold that flags `upper` and not `lower`, as near to the middle as float32 allows.

    The scoring graph works in float32, so the threshold is a float32 number wherever one separates
    the two; between neighbouring floats there is none strictly inside, and `lower` itself is it.
    Scores in float64 that are equal in float32 can only be separated in float64.

    >>> midway(1.0, 2.0)
    1.5
    >>> lower = np.float32(0.1)
    >>> upper = np.nextafter(lower, np.float32(1))
    >>> midway(lower, upper) == float(lower)
    True
    """
    low, high = float(lower), float(upper)
    middle = low / 2 + high / 2 if abs(low) > 1e300 or abs(high) > 1e300 else (low + high) / 2
    with np.errstate(over="ignore", under="ignore"):
        single_high = np.float32(high)
        for candidate in (
            np.float32(middle),
            np.nextafter(np.float32(middle), np.float32(-np.inf)),
            np.float32(low),
        ):
            if low <= float(candidate) < high and candidate < single_high:
                return float(candidate)
    return middle if low <= middle < high else low


def above_all(scores: Scores) -> float:
    """A threshold above every score: half the gap between the two highest beyond the highest."""
    top = float(scores[-1])
    beyond = top + (top - float(scores[-2])) / 2 if len(scores) > 1 else top
    with np.errstate(over="ignore", under="ignore"):
        single = np.float32(beyond)
        if not single > np.float32(top):
            single = np.nextafter(np.float32(top), np.float32(np.inf))
    return float(single) if np.isfinite(single) and float(single) >= top else top


def below_all(scores: Scores) -> float:
    """A threshold below every score by half the lowest gap, positive if that is."""
    bottom = float(scores[0])
    beneath = bottom - (float(scores[1]) - bottom) / 2 if len(scores) > 1 else bottom
    if bottom > 0:
        beneath = max(beneath, bottom / 2)
    with np.errstate(over="ignore", under="ignore"):
        single = np.float32(beneath)
        if not single < np.float32(bottom) or not float(single) < bottom:
            single = np.nextafter(np.float32(bottom), np.float32(-np.inf))
    return (
        float(single)
        if np.isfinite(single) and float(single) < bottom
        else float(np.nextafter(bottom, -np.inf))
    )


def percent(share: float) -> str:
    """A share as people write it.

    >>> percent(0.01), percent(0.955), percent(0.0004)
    ('1%', '95.5%', '0.04%')
    """
    return f"{100 * share:.4g}%"
