"""Conformal p-values: how often a normal image scores at least as high as this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, as_scores
from residua.errors import InputError, ShapeError
from residua.metrics.groups import Groups
from residua.thresholds.calibration import Promised


@dataclass(frozen=True)
class PValues:
    """What turns scores into p-values: the scores of normal calibration images, upwards.

    ``tails`` (n + 1,) is how much lies at or above each place: images, or shares of groups where a
    promise for new groups is made. ``n_units`` counts images, or groups.

    Examples
    --------
    >>> reference = PValues.of(np.array([0.1, 0.2, 0.3, 0.4]))
    >>> reference([0.05, 0.3, 0.5, np.nan]).tolist()
    [1.0, 0.6, 0.2, nan]
    >>> reference.threshold_of(0.6)
    0.2
    """

    scores: NDArray[Any]
    tails: NDArray[np.float64]
    n_units: int
    by_groups: bool = False

    @classmethod
    def of(cls, normals: Any, groups: Any = None, promise: Promised = "new-groups") -> PValues:
        """From the scores of normal calibration images, (n,), of which none may be infinite.

        Higher = more anomalous. A missing score counts as the highest, which is the safe side.
        """
        scores = np.asarray(normals)
        if scores.dtype.kind != "f":
            scores = scores.astype(np.float64)
        order = np.argsort(scores, kind="stable")
        known = None if groups is None else Groups.read(groups, len(scores))
        grouped = known is not None and not known.is_single and promise == "new-groups"
        weights = np.ones(len(scores))
        if known is not None and grouped:
            weights = 1 / known.sizes[known.codes]
        above = np.cumsum(weights[order][::-1])[::-1] if len(scores) else np.zeros(0)
        tails = np.round(np.append(above, 0.0), 9)
        n_units = known.n_groups if known is not None and grouped else len(scores)
        return cls(scores[order], tails, n_units, grouped)

    @property
    def smallest(self) -> float:
        """The p-value of an image above all calibration images: no p-value is smaller."""
        return 1 / (self.n_units + 1)

    def __call__(self, scores: Any, *, seed: int | None = None) -> NDArray[np.float64]:
        """P-values, (n_images,) in (0, 1]: small = anomalous. NaN where there is no score.

        Ties count as if the calibration image scored higher, so p-values are rather too large. With
        a `seed` ties are broken at random, and p-values of normal images are exactly uniform.
        """
        asked = np.asarray(scores, self.scores.dtype)
        at_or_above = self.tails[np.searchsorted(self.scores, asked, side="left")]
        if seed is None:
            found = (1 + at_or_above) / (self.n_units + 1)
        else:
            above = self.tails[np.searchsorted(self.scores, asked, side="right")]
            drawn = 1 - np.random.default_rng(seed).random(asked.shape)
            found = (above + drawn * (1 + at_or_above - above)) / (self.n_units + 1)
        return np.where(np.isnan(asked), np.nan, found)

    def threshold_of(self, p_value: float) -> float:
        """The calibration score above which, strictly, lie the images with at most this p-value.

        ``-inf`` where that is every image, ``inf`` where no image can have so small a p-value.
        """
        most = p_value * (self.n_units + 1) - 1 + 1e-9
        if most < 0:
            return float("inf")
        place = int(np.searchsorted(-self.tails, -most, side="left"))
        return float("-inf") if place == 0 else float(self.scores[place - 1])


def conformal_p_values(
    scores: Any,
    calibration_scores: Any,
    *,
    groups: Any = None,
    promise: Promised = "new-groups",
    seed: int | None = None,
) -> NDArray[np.float64]:
    """The p-value of each score: how often a normal image scores at least so high.

    ``(1 + m) / (n + 1)`` where `m` of `n` normal calibration scores are at least as high (Vovk,
    Gammerman and Shafer 2005). If the image is normal and exchangeable with the calibration images,
    it is at most `a` with a chance of at most `a`, whatever the distribution of scores.

    Parameters
    ----------
    scores : float array, (n_images,)
        Higher = more anomalous; NaN has no p-value.
    calibration_scores : float array, (n,)
        Of normal images that the model was not fitted on.
    groups : array, (n,), optional
        What was sampled together among the calibration images. Groups then count, not images: `m`
        is the sum over groups of their share at least so high, `n` the number of groups. It holds
        for an image of a new group, if groups are exchangeable (Lee, Barber and Willett 2023).
    promise : {"new-groups", "known-groups"}
        ``known-groups`` counts images, and speaks of new images of these groups alone.
    seed : int, optional
        Breaks ties at random. None: ties make p-values larger.

    Returns
    -------
    float64 array, (n_images,)
        In (0, 1], small = anomalous.

    Raises
    ------
    ShapeError
        Without calibration scores.
    InputError
        If there is no such promise.

    Examples
    --------
    >>> conformal_p_values([0.35, 0.9], [0.1, 0.2, 0.3, 0.4]).tolist()
    [0.4, 0.2]
    >>> conformal_p_values([0.35], [0.1, 0.2, 0.3, 0.4], groups=["a", "a", "b", "b"]).tolist()
    [0.5]
    """
    problems = Problems("conformal_p_values")
    known = as_scores(calibration_scores, name="calibration_scores", problems=problems)
    if not problems and not len(known):
        problems.add(
            "calibration_scores must hold scores of normal images",
            "none",
            "Pass scores of images that were held out",
            ShapeError,
        )
    if promise not in get_args(Promised):
        problems.add(
            f"promise must be one of {', '.join(get_args(Promised))}",
            repr(promise),
            "Correct it",
            InputError,
        )
    problems.raise_any()
    return PValues.of(known, groups, promise)(scores, seed=seed)
