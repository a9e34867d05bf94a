"""Pixel metrics of more maps than memory holds: each map is added and forgotten.

Up to 33 million pixels are kept as they are, and every area is exact. Beyond, pixels are counted by
value, to eleven binary digits (one part in 2,048): values that share a count are ties, of which
half are taken for won.

What intervals need is kept of each image: a few points of it, and what lies above the threshold.
"""

from __future__ import annotations

import io
import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from residua.errors import LabelError, RangeError
from residua.metrics.pixel import overlap_area, regions_of
from residua.metrics.pixel_spread import ImagePoints, image_points
from residua.metrics.ranking import average_precision, roc_auc

MOST_EXACT = 2**25  # pixels
_DROPPED_BITS = 12  # of a float's 32
_N_KEYS = 2 ** (32 - _DROPPED_BITS)
_NOTHING = np.zeros(0, np.float32)
_OF_ARRAYS = ("background", "defects", "counts", "weights")  # the columns of `ImagePoints`


class PixelTally:
    """Masks and maps, added one at a time.

    Parameters
    ----------
    pixel_threshold : float, optional
        A pixel whose error lies above it is marked; without it nothing is. It must not come from
        the masks that are added here.

    Attributes
    ----------
    points : list of ImagePoints
        An entry per image: what intervals are made of.
    rows : list of int
        Which image each of them is: as `add` was told, else numbered as they came.
    areas : list of int
        The defective pixels of each mask.
    highest : list of float
        The highest error of each map.
    peaks : list of float array, (n_regions,)
        The highest error in each defect of an image.
    overlaps : list of (int, int)
        Of each image the pixels that are defective and marked, and those that are either.

    Examples
    --------
    >>> tally = PixelTally()
    >>> tally.add(None, np.array([[0.1, 0.2]]))
    >>> tally.add(np.array([[True, False], [False, False]]), np.array([[0.3, 0.1], [0.4, 0.0]]))
    >>> tally.n_images, tally.roc_auc(), tally.average_precision(), round(tally.aupro(), 4)
    (2, 0.8, 0.5, 0.3333)
    """

    def __init__(
        self, *, pixel_threshold: float | None = None, most_exact: float = MOST_EXACT
    ) -> None:
        if pixel_threshold is not None and not math.isfinite(pixel_threshold):
            raise RangeError(
                f"PixelTally: pixel_threshold must be finite. Got {pixel_threshold}. Pass the error"
                " from which on a pixel is marked."
            )
        self.pixel_threshold = pixel_threshold
        self.points: list[ImagePoints] = []
        self.rows: list[int] = []
        self.areas: list[int] = []
        self.highest: list[float] = []
        self.peaks: list[NDArray[Any]] = []
        self.overlaps: list[tuple[int, int]] = []
        self.n_images = self.n_pixels = self.n_regions = 0
        self._most_exact = most_exact
        self._kept: list[tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]] = []
        self._counts: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]] | None = None

    @property
    def is_exact(self) -> bool:
        """Whether nothing had to be counted by value yet."""
        return self._counts is None

    def add(
        self,
        mask: NDArray[np.bool_] | None,
        values: NDArray[Any],
        *,
        row: int | None = None,
        inside: NDArray[np.bool_] | None = None,
    ) -> None:
        """One map, float (height, width), and where it is defective; None: nowhere.

        ``row`` says which image it is, where some are left out and groups are named. Only pixels
        that are ``inside`` count: others are neither defective nor sound.
        """
        if mask is not None and mask.dtype != np.bool_:
            raise LabelError(
                f"PixelTally: masks must be True on defective pixels. Got dtype {mask.dtype}. Pass"
                " mask > 0."
            )
        self.rows.append(self.n_images if row is None else row)
        counted = values.ravel() if inside is None else values[inside]
        mask = mask if mask is None or inside is None else mask & inside
        self.n_images, self.n_pixels = self.n_images + 1, self.n_pixels + counted.size
        if mask is None or not mask.any():
            found = (counted, counted[:0], np.zeros(0))
            peaks = np.zeros(0, values.dtype)
        else:
            areas, region = regions_of(mask)
            self.n_regions += len(areas)
            sound = ~mask if inside is None else inside & ~mask
            found = (values[sound], values[mask], (1 / areas)[region])
            peaks = np.full(len(areas), found[1].min())
            np.maximum.at(peaks, region, found[1])
        self.points.append(image_points(*found, len(peaks)))
        self.peaks.append(peaks)
        self.areas.append(len(found[1]))
        self.highest.append(float(counted.max()) if counted.size else -math.inf)
        if self.pixel_threshold is not None:
            hits = int(np.count_nonzero(found[1] > self.pixel_threshold))
            false = int(np.count_nonzero(found[0] > self.pixel_threshold))
            self.overlaps.append((hits, len(found[1]) + false))
        if self.is_exact and self.n_pixels <= self._most_exact:
            self._kept.append(found)
            return
        for one in (*self._kept, found):
            self._count(*one)
        self._kept = []

    def merge(self, other: Self, *, first_row: int = 0) -> Self:
        """Add what `other` has seen, after what this one has; returns self.

        ``first_row`` is the number of the image that `other` calls 0. Merged in the order of the
        images, the result is that of one tally, bit for bit, unless `other` had to count by value.

        >>> first, second = PixelTally(), PixelTally()
        >>> first.add(None, np.array([[0.1, 0.2]]))
        >>> second.add(np.array([[True, False]]), np.array([[0.3, 0.1]]))
        >>> merged = first.merge(PixelTally.from_bytes(second.to_bytes()), first_row=1)
        >>> merged.rows, round(merged.roc_auc(), 3)
        ([0, 1], 1.0)
        """
        self.points += other.points
        self.rows += [row + first_row for row in other.rows]
        self.areas += other.areas
        self.highest += other.highest
        self.peaks += other.peaks
        self.overlaps += other.overlaps
        self.n_images += other.n_images
        self.n_pixels += other.n_pixels
        self.n_regions += other.n_regions
        if self.is_exact and other.is_exact and self.n_pixels <= self._most_exact:
            self._kept += other._kept
            return self
        for one in (*self._kept, *other._kept):
            self._count(*one)
        self._kept = []
        if other._counts is not None:
            for own, more in zip(self._counted(), other._counts, strict=True):
                np.add(own, more, out=own)
        return self

    def to_bytes(self) -> bytes:
        """Everything as a ``.npz`` without objects."""
        points: dict[str, Any] = {
            name: [getattr(one, name) for one in self.points] for name in ImagePoints._fields
        }
        kept = zip(*self._kept, strict=True) if self._kept else ([], [], [])
        several = {
            **{f"points/{name}": points[name] for name in _OF_ARRAYS},
            **{f"kept/{place}": list(arrays) for place, arrays in enumerate(kept)},
            "peaks": self.peaks,
        }
        arrays: dict[str, Any] = {
            **{f"{name}/n": np.array([len(one) for one in some]) for name, some in several.items()},
            **{name: np.concatenate(some or [_NOTHING]) for name, some in several.items()},
            **{f"points/{name}": np.array(points[name]) for name in ("n_background", "n_regions")},
            "rows": np.array(self.rows, np.int64),
            "areas": np.array(self.areas, np.int64),
            "highest": np.array(self.highest),
            "overlaps": np.array(self.overlaps, np.int64).reshape(-1, 2),
            "sums": np.array([self.n_images, self.n_pixels, self.n_regions]),
            "threshold": np.array([] if self.pixel_threshold is None else [self.pixel_threshold]),
        }
        for place, array in enumerate(self._counts or ()):
            filled = np.flatnonzero(array)
            arrays |= {f"counts/{place}/keys": filled, f"counts/{place}": array[filled]}
        data = io.BytesIO()
        np.savez_compressed(data, **arrays)
        return data.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote; executes nothing."""
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}

        def several(name: str) -> list[NDArray[Any]]:
            lengths = arrays[f"{name}/n"].astype(np.int64)
            return np.split(arrays[name], np.cumsum(lengths)[:-1]) if len(lengths) else []

        threshold = arrays["threshold"].tolist()
        tally = cls(pixel_threshold=threshold[0] if threshold else None)
        of_points = [several(f"points/{name}") for name in _OF_ARRAYS]
        tally.points = [
            ImagePoints(background, n_background, defects, counts, weights, n_regions)
            for background, defects, counts, weights, n_background, n_regions in zip(
                *of_points,
                arrays["points/n_background"].tolist(),
                arrays["points/n_regions"].tolist(),
                strict=True,
            )
        ]
        tally._kept = list(zip(*(several(f"kept/{place}") for place in range(3)), strict=True))
        tally.rows, tally.highest = arrays["rows"].tolist(), arrays["highest"].tolist()
        tally.areas = arrays["areas"].tolist()
        tally.peaks = several("peaks")
        tally.overlaps = [(hits, either) for hits, either in arrays["overlaps"].tolist()]
        tally.n_images, tally.n_pixels, tally.n_regions = arrays["sums"].tolist()
        if "counts/0" in arrays:
            for place, own in enumerate(tally._counted()):
                own[arrays[f"counts/{place}/keys"]] = arrays[f"counts/{place}"]
        return tally

    def roc_auc(self) -> float:
        """As `pixel_roc_auc`."""
        if self._counts is None:
            return roc_auc(*self._labelled())
        background, defects, _ = self._counts
        n_pairs = int(background.sum()) * int(defects.sum())
        below = np.cumsum(background) - background
        return float((defects * (below + background / 2)).sum() / n_pairs) if n_pairs else math.nan

    def average_precision(self) -> float:
        """As `pixel_average_precision`."""
        if self._counts is None:
            return average_precision(*self._labelled())
        background, defects, _ = (counts[::-1] for counts in self._counts)
        n_defective, found = int(defects.sum()), np.cumsum(defects)
        if n_defective == 0 or not background.any():
            return math.nan
        flagged = np.maximum(found + np.cumsum(background), 1)
        return float((defects * (found / flagged)).sum() / n_defective)

    def aupro(self, *, max_fpr: float = 0.3) -> float:
        """As `residua.metrics.aupro`."""
        if self._counts is None:
            background, defects, weights = (
                np.concatenate(parts) for parts in zip(*self._kept, strict=True)
            )
            return overlap_area(background, defects, weights, self.n_regions, max_fpr)
        background, _, weights = (counts[::-1] for counts in self._counts)
        n_background = int(background.sum())
        if self.n_regions == 0 or n_background == 0:
            return math.nan
        limit = max_fpr * n_background
        before = np.cumsum(background) - background
        climbed = np.clip(limit - before, 0, background)
        reached = np.maximum(limit - before - background, 0) + climbed**2 / (
            2 * np.maximum(background, 1)
        )
        return min(float((weights * reached).sum() / (limit * self.n_regions)), 1.0)

    def _labelled(self) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        parts = [part for background, defects, _ in self._kept for part in (background, defects)]
        flags = np.repeat([False, True] * len(self._kept), [len(part) for part in parts])
        return flags, np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _count(
        self, background: NDArray[Any], defects: NDArray[Any], weights: NDArray[np.float64]
    ) -> None:
        of_background, of_defects, weighed = self._counted()
        keys = _keys(defects)
        of_background += np.bincount(_keys(background), minlength=_N_KEYS)
        of_defects += np.bincount(keys, minlength=_N_KEYS)
        weighed += np.bincount(keys, weights, _N_KEYS)

    def _counted(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The counts by value: from now on pixels are counted."""
        if self._counts is None:
            self._counts = (
                np.zeros(_N_KEYS, np.int64),
                np.zeros(_N_KEYS, np.int64),
                np.zeros(_N_KEYS),
            )
        return self._counts


def _keys(values: NDArray[Any]) -> NDArray[np.uint32]:
    """Whole numbers in the order of the values.

    The leading bits of a float, the negative ones turned about.
    """
    bits = (values.astype(np.float32) + np.float32(0)).view(np.uint32)  # -0.0 becomes 0.0
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)) >> np.uint32(_DROPPED_BITS)
