"""A detector's error maps as what metrics of pixels are computed from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from residua.metrics.groups import Groups, caveat_of
from residua.metrics.intervals import share_interval
from residua.metrics.pixel_spread import (
    Influence,
    PooledPoints,
    interval_by_images,
    ratio_influences,
)
from residua.metrics.pixel_tally import PixelTally
from residua.metrics.samples import Floats, Sample
from residua.records import Estimate


@dataclass(frozen=True, kw_only=True)
class PixelErrors(Sample):
    """A detector's error maps with their masks.

    What was sampled is the image or its group, never the pixel: intervals come from how these
    differ. ``groups`` are those of the images that `pixels` holds.
    """

    pixels: PixelTally

    @cached_property
    def _groups(self) -> Groups | None:
        return None if self.groups is None or self.groups.is_single else self.groups

    @cached_property
    def _n_defects(self) -> NDArray[np.int64]:
        return np.array([len(peaks) for peaks in self.pixels.peaks], np.int64)

    @cached_property
    def _points(self) -> PooledPoints:
        return PooledPoints(self.pixels.points)

    def area(
        self, value: float, influences: Callable[[PooledPoints], Sequence[Influence]]
    ) -> Estimate:
        """An area under a curve over all pixels."""
        if not np.isfinite(value):
            return self.without_interval(value, self.pixels.n_images)
        return self._by_images(value, influences(self._points))

    def overlap(self) -> Estimate | None:
        """Intersection over union of what is marked and what is defective, over all pixels."""
        if self.pixels.pixel_threshold is None:
            return None
        if not self._n_defects.any():
            return self.without_interval(np.nan, self.pixels.n_images)
        hits, either = np.array(self.pixels.overlaps, np.float64).T
        return self._by_images(float(hits.sum() / either.sum()), ratio_influences(hits, either))

    def _by_images(self, value: float, influences: Sequence[Influence]) -> Estimate:
        return interval_by_images(
            value, influences, self._n_defects > 0, self._groups, self.confidence
        )

    def defects_found(self) -> Estimate | None:
        """The share of defects with a marked pixel."""
        peaks = np.concatenate([np.zeros(0), *self.pixels.peaks])
        of_defects = np.repeat(np.arange(self.pixels.n_images), self._n_defects)
        sampled = of_defects if self._groups is None else self._groups.codes[of_defects]
        return self._above(peaks, sampled)

    def normals_marked(self) -> Estimate | None:
        """The share of images without defects that have a marked pixel."""
        normal = self._n_defects == 0
        codes = np.arange(len(normal)) if self._groups is None else self._groups.codes
        return self._above(np.array(self.pixels.highest)[normal], codes[normal])

    def _above(self, peaks: Floats, sampled: NDArray[np.int64]) -> Estimate | None:
        threshold = self.pixels.pixel_threshold
        if threshold is None:
            return None
        groups = Groups(np.unique(sampled, return_inverse=True)[1].astype(np.int64))
        share = share_interval(peaks > threshold, groups, scores=peaks, confidence=self.confidence)
        if self._groups is not None or share.n_groups is None:
            return share
        told = {"n_groups": None, "caveat": caveat_of(groups.n_groups, "images")}
        return share.model_copy(update=told)
