"""How pixel metrics vary from image to image, and the intervals that follow.

Pixels of an image are not independent: what was sampled is the image, or the group of images that
it is of. Each image is kept as a few points: up to 128 of its background, up to 128 of its defects.
They give the influence of every image on a number: how far the number moves if there is a little
more of this image (Hampel, 1974). The interval comes from how influences differ between groups.

- An influence is divided by one minus the group's share of the pixels, as in a jackknife: a group
  that holds a third of them moves the number by more than its influence says.
- Groups with and without defects are two strata: their numbers are taken as given.
- Student's quantile takes the degrees of freedom of Satterthwaite (1946), or as many as the groups
  of equal shares would be that vary as these do, less one; half of them where few errors are left.
- The interval is one on the logit scale.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.metrics._confidence import logit_interval, student_t
from residua.metrics.groups import LEAST_GROUPS, Groups, caveat_of
from residua.records import Estimate

_N_POINTS = 128
# With fewer errors, counted in groups of equal shares, a few images decide: with all degrees of
# freedom intervals would hold the truth in as few as 90%, with half of them in 92% to 99%.
_FEWEST_ERRORS = 2.0
_DUST = 1e-10

Floats = NDArray[np.float64]


class ImagePoints(NamedTuple):
    """An image's pixels as points of descending value, each standing for several pixels.

    ``background`` and ``defects`` are values, ``n_background`` pixels are spread over the first as
    `_ends` says; ``counts`` are the pixels of each point of the second, ``weights`` their sum of
    1 / (area of the region).
    """

    background: NDArray[np.float32]
    n_background: int
    defects: NDArray[np.float32]
    counts: NDArray[np.float32]
    weights: NDArray[np.float32]
    n_regions: int


class Influence(NamedTuple):
    """What moves a number: images by what they hold of one kind of pixel (or of regions).

    ``values`` (n_images,) add up to 0 over all kinds together, ``shares`` (n_images,) to 1.
    """

    values: Floats
    shares: Floats


def image_points(
    background: NDArray[np.floating],
    defects: NDArray[np.floating],
    weights: Floats,
    n_regions: int,
) -> ImagePoints:
    """The points of one image, of the values of its background and of its weighted defects."""
    ends = _ends(len(background))
    descending = np.sort(background)[::-1]
    order = np.argsort(defects)[::-1]
    cuts = _ends(len(defects))
    starts = cuts[:-1]
    return ImagePoints(
        descending[(ends[:-1] + ends[1:]) // 2].astype(np.float32),
        len(background),
        defects[order][(starts + cuts[1:]) // 2].astype(np.float32),
        np.diff(cuts).astype(np.float32),
        (np.add.reduceat(weights[order], starts) if len(starts) else weights).astype(np.float32),
        n_regions,
    )


@functools.lru_cache(maxsize=1024)
def _ends(n: int) -> NDArray[np.int64]:
    """Where the points of `n` pixels end, from 0 to n: fine among the highest values."""
    return np.unique(np.round(n * np.linspace(0, 1, _N_POINTS + 1) ** 3).astype(np.int64))


class PooledPoints:
    """The points of all images together, summed by value."""

    def __init__(self, images: Sequence[ImagePoints]) -> None:
        backgrounds = [np.diff(_ends(one.n_background)) for one in images]
        self.n_images = len(images)
        self.regions = np.array([one.n_regions for one in images], np.float64)
        values = np.concatenate([part for one in images for part in (one.background, one.defects)])
        lengths = [n for one in images for n in (len(one.background), len(one.defects))]
        of_defects = np.repeat([False, True] * len(images), lengths)
        image = np.repeat(np.repeat(np.arange(len(images)), 2), lengths)
        _, level = np.unique(values, return_inverse=True)
        self.n_levels = int(level.max(initial=-1)) + 1
        self._image = image[~of_defects], image[of_defects]
        self._level = level[~of_defects], level[of_defects]
        self._background = np.concatenate(backgrounds).astype(np.float64)
        self._counts = np.concatenate([one.counts for one in images]).astype(np.float64)
        self._weights = np.concatenate([one.weights for one in images]).astype(np.float64)
        # Pixels a level, ascending, and the share of the background that exceeds it.
        self.background = np.bincount(self._level[0], self._background, self.n_levels)
        self.defects = np.bincount(self._level[1], self._counts, self.n_levels)
        self.weights = np.bincount(self._level[1], self._weights, self.n_levels)
        reach = np.cumsum(self.background[::-1])[::-1]
        self.above = (reach - self.background / 2) / max(self.background.sum(), 1)

    def of_background(self, by_level: Floats) -> Influence:
        """Summed over the background pixels of each image."""
        return self._sums(0, self._background, by_level)

    def of_defects(self, by_level: Floats) -> Influence:
        """Summed over the defective pixels of each image."""
        return self._sums(1, self._counts, by_level)

    def of_regions(self, by_level: Floats, per_region: float) -> Influence:
        """Summed over the weighted defective pixels of each image, less a number a region."""
        summed = self._sums(1, self._weights, by_level)
        return Influence(
            summed.values - per_region * self.regions, self.regions / self.regions.sum()
        )

    def _sums(self, kind: int, each: Floats, by_level: Floats) -> Influence:
        image, level = self._image[kind], self._level[kind]
        values = np.bincount(image, each * by_level[level], self.n_images).astype(np.float64)
        shares = np.bincount(image, each, self.n_images)
        return Influence(values, shares / shares.sum())


def roc_auc_influences(pooled: PooledPoints) -> list[Influence]:
    """Of the area under the ROC curve over all pixels: placements, summed per image."""
    n_background, n_defects = pooled.background.sum(), pooled.defects.sum()
    beaten = 1 - pooled.above
    area = pooled.defects @ beaten / n_defects
    reach = np.cumsum(pooled.defects[::-1])[::-1] - pooled.defects / 2
    return [
        pooled.of_defects((beaten - area) / n_defects),
        pooled.of_background((reach / n_defects - area) / n_background),
    ]


def average_precision_influences(pooled: PooledPoints) -> list[Influence]:
    """Of the average precision: a pixel changes the precision at every level below it."""
    n_defects = pooled.defects.sum()
    found = np.cumsum(pooled.defects[::-1])[::-1]
    false = np.cumsum(pooled.background[::-1])[::-1]
    flagged = found + false
    area = pooled.defects @ (found / flagged) / n_defects
    if_found = found / flagged - area + np.cumsum(pooled.defects * false / flagged**2)
    if_false = -np.cumsum(pooled.defects * found / flagged**2)
    return [
        pooled.of_defects(if_found / n_defects),
        pooled.of_background(if_false / n_defects),
    ]


def aupro_influences(pooled: PooledPoints, max_fpr: float = 0.3) -> list[Influence]:
    """Of the area under the per-region overlap curve up to `max_fpr`."""
    n_regions, n_background = pooled.regions.sum(), pooled.background.sum()
    found = np.maximum(1 - pooled.above / max_fpr, 0)
    area = pooled.weights @ found / n_regions
    counted = pooled.weights * (found > 0)
    lost = np.cumsum(counted) - counted @ pooled.above
    return [
        pooled.of_regions(found / n_regions, area / n_regions),
        pooled.of_background(-lost / (max_fpr * n_regions * n_background)),
    ]


def ratio_influences(parts: Floats, wholes: Floats) -> list[Influence]:
    """Of a ratio of sums over images, such as the intersection over the union."""
    total = wholes.sum()
    return [Influence((parts - parts.sum() / total * wholes) / total, wholes / total)]


def interval_by_images(
    value: float,
    influences: Sequence[Influence],
    has_defects: NDArray[np.bool_],
    groups: Groups | None,
    confidence: float,
) -> Estimate:
    """A share with the interval that its influences give.

    - `value`: float in [0, 1]. NaN where it is undefined.
    - `influences`: sequence of Influence. The first of what belongs to defects.
    - `has_defects`: bool array, (n_images,).
    - `groups`: Which of the images were sampled together; None where each was by itself.
    """
    n = len(has_defects)
    plain = Estimate(value=None, confidence=confidence, n=n)
    if not math.isfinite(value):
        return plain
    sampled = Groups(np.arange(n)) if groups is None else groups
    defective = sampled.sums(has_defects) > 0
    n_defective = int(np.count_nonzero(defective))
    what = "images with defects" if groups is None else "groups with defects"
    told = plain.model_copy(
        update={
            "value": value,
            "caveat": caveat_of(n_defective, what),
            "n_groups": None if groups is None else sampled.n_groups,
        }
    )
    if n_defective < LEAST_GROUPS:
        return told
    shares = sampled.sums(influences[0].shares)
    total = np.sum([one.values for one in influences], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # a group that holds all of a kind
        moved = np.sum(
            [sampled.sums(one.values) / (1 - sampled.sums(one.shares)) for one in influences],
            axis=0,
        )
    variance, freedom = _variance(moved, defective)
    n_equal = 1 / float((shares**2).sum())  # groups of equal shares that vary as these do
    if not (_DUST < value < 1 - _DUST and _DUST**2 < variance < math.inf):
        why = "No interval: nothing shows how it differs from image to image."
        return told.model_copy(update={"caveat": told.caveat or why})
    few = n_equal * min(value, 1 - value) < _FEWEST_ERRORS
    freedom = min(freedom, n_equal - 1) / (2 if few else 1)
    low, high = logit_interval(value, variance, student_t(confidence, max(freedom, 1.0)))
    why = "A few images decide it: the interval is widened, and only roughly right."
    return told.model_copy(
        update={
            "low": low,
            "high": high,
            "caveat": told.caveat or (why if few else None),
            "n_effective": None if groups is None else round(sampled.effective(total), 1),
        }
    )


def _variance(moved: Floats, defective: NDArray[np.bool_]) -> tuple[float, float]:
    """Variance of the sum of `moved` (n_groups,) in two strata, and its degrees of freedom."""
    strata = [moved[defective], moved[~defective]]
    if len(strata[1]) == 1:  # one group alone shows no spread
        strata = [moved]
    parts = [(len(one) * float(one.var(ddof=1)), len(one) - 1) for one in strata if len(one)]
    variance = sum(part for part, _ in parts)
    lost = sum(part**2 / freedom for part, freedom in parts)
    return variance, variance**2 / lost if lost > 0 else 1.0
