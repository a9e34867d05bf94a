"""How well error maps find defects pixel by pixel.

ROC AUC, average precision and the per-region overlap (AUPRO).

Every function takes ``(masks, maps)``: an iterable each, or (n_images, height, width) arrays. A
mask is True on defective pixels; None or all False is a normal image. Sizes may differ from image
to image. Only the order of the map values matters; nothing is binned, and ties are exact.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, array_of
from residua.errors import LabelError, RangeError, ShapeError
from residua.metrics._ranks import insertion_points
from residua.metrics.ranking import average_precision, roc_auc

# A set with one wrong image often has thousands: the first few tell enough.
_TOLD = 5
_ABSENT = object()


def pixel_roc_auc(masks: Iterable[Any], maps: Iterable[Any]) -> float:
    """Area under the ROC curve over all pixels of all images together.

    Dominated by large defects and by the many easy background pixels; `aupro` weighs every defect
    alike.

    Parameters
    ----------
    masks : iterable of bool arrays (height, width) or None
        True = defective.
    maps : iterable of float arrays (height, width)
        Of any finite scale, higher = more anomalous.

    Returns
    -------
    float
        In [0, 1], 0.5 = chance; ``nan`` without defective or without background pixels.

    Raises
    ------
    ShapeError
        If a mask and its map differ in size, or there are more of one than of the other.
    RangeError
        If a map holds NaN or infinities.
    LabelError
        If a mask holds more than two values.

    Examples
    --------
    >>> masks = [None, np.array([[True, False], [False, False]])]
    >>> maps = [np.array([[0.1, 0.2]]), np.array([[0.3, 0.1], [0.4, 0.0]])]
    >>> pixel_roc_auc(masks, maps)
    0.8
    """
    return roc_auc(*_flat("pixel_roc_auc", masks, maps))


def pixel_average_precision(masks: Iterable[Any], maps: Iterable[Any]) -> float:
    """Average precision over all pixels of all images together.

    Chance is the share of defective pixels.

    Parameters
    ----------
    masks, maps
        As in `pixel_roc_auc`.

    Returns
    -------
    float
        In (0, 1], higher is better; ``nan`` without defective or without background pixels.

    Examples
    --------
    >>> masks = [None, np.array([[True, False], [False, False]])]
    >>> maps = [np.array([[0.1, 0.2]]), np.array([[0.3, 0.1], [0.4, 0.0]])]
    >>> pixel_average_precision(masks, maps)
    0.5
    """
    return average_precision(*_flat("pixel_average_precision", masks, maps))


def aupro(masks: Iterable[Any], maps: Iterable[Any], *, max_fpr: float = 0.3) -> float:
    """Area under the per-region overlap curve up to a false-positive rate, divided by that rate.

    The overlap of a threshold is the share of a defect's pixels that reach it, averaged over all
    defects, so a scratch counts as much as a stain; the false-positive rate is the share of
    background pixels that do. A defect is a connected region of a mask, diagonal neighbours
    included.

    Exact: each defective pixel adds its weight, 1 / (area of its region), times the stretch of the
    curve on which it is already found. That needs the highest background values sorted and the
    defective pixels searched in them, not a curve.

    Parameters
    ----------
    masks, maps
        As in `pixel_roc_auc`.
    max_fpr : float in (0, 1]
        Where to stop; the last point is interpolated linearly along the curve. Values at different
        limits don't compare.

    Returns
    -------
    float
        In [0, 1], higher is better; ``max_fpr / 2`` by chance; ``nan`` without defective or without
        background pixels.

    References
    ----------
    Bergmann et al. (2021), "The MVTec Anomaly Detection Dataset", section 5.2.

    Examples
    --------
    >>> masks = [None, np.array([[True, False], [False, False]])]
    >>> maps = [np.array([[0.1, 0.2]]), np.array([[0.3, 0.1], [0.4, 0.0]])]
    >>> round(aupro(masks, maps, max_fpr=0.3), 4), aupro(masks, maps, max_fpr=1.0)
    (0.3333, 0.8)
    """
    problems = Problems("aupro")
    problems.within("max_fpr", max_fpr, "(0, 1]", "Pass 0.3, the usual limit")
    background, defects, weights, n_regions = _by_region(_pairs(masks, maps, problems))
    problems.raise_any()
    return overlap_area(background, defects, weights, n_regions, max_fpr)


def overlap_area(
    background: NDArray[Any],
    defects: NDArray[Any],
    weights: NDArray[np.float64],
    n_regions: int,
    max_fpr: float,
) -> float:
    """`aupro` of background values, which it sorts in place, and of weighted defective ones.

    A weight is 1 / (area of the region).
    """
    if n_regions == 0 or len(background) == 0:
        return math.nan
    limit = max_fpr * len(background)
    background.sort()
    # What lies below `floor` is reached only after `limit` false positives, and adds nothing.
    floor = background[len(background) - math.ceil(limit)]
    top, near = background[np.searchsorted(background, floor, "left") :], defects >= floor
    area = _found_area(top, defects[near], weights[near], limit) / (limit * n_regions)
    return min(area, 1.0)  # the weights of a region's pixels add up to 1 only within rounding


def _found_area(
    top: NDArray[Any], defects: NDArray[Any], weights: NDArray[np.float64], limit: float
) -> float:
    """Sum of each defective pixel's weight times the false positives over which it is found.

    False positives count up to `limit`.
    """
    order = np.argsort(defects)
    parts = []
    for start, stop, left, right in insertion_points(top, defects[order]):
        before, tied = len(top) - right, right - left
        # Background of the same score comes together with the pixel: the curve climbs linearly over
        # it.
        climbed = np.clip(limit - before, 0, tied)
        found = np.maximum(limit - before - tied, 0) + climbed**2 / (2 * np.maximum(tied, 1))
        parts.append(float(np.dot(weights[order[start:stop]], found)))
    return math.fsum(parts)


def _by_region(
    pairs: Iterator[tuple[NDArray[np.bool_] | None, NDArray[Any]]],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64], int]:
    """Background values, defective values with their weights, and the number of regions.

    A weight is 1 / (area of the region).
    """
    background: list[NDArray[Any]] = []
    defects: list[NDArray[Any]] = []
    weights: list[NDArray[np.float64]] = []
    n_regions = 0
    for mask, values in pairs:
        if mask is None:
            background.append(values.ravel())
            continue
        background.append(values[~mask])
        defects.append(values[mask])
        areas, region = regions_of(mask)
        weights.append((1 / areas)[region])
        n_regions += len(areas)
    return (
        _joined(background),
        _joined(defects),
        np.concatenate(weights) if weights else np.zeros(0),
        n_regions,
    )


def regions_of(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Areas of the 8-connected regions, and the region of each True pixel in reading order."""
    from scipy.ndimage import label

    box = boxed(mask)
    region = label(box, structure=np.ones((3, 3), np.int8))[0][box] - 1
    return np.bincount(region), region


def boxed(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The smallest part of a mask that holds all that it marks; a pixel where it marks nothing."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else mask[:1, :1]


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _flat(
    where: str, masks: Iterable[Any], maps: Iterable[Any]
) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    problems = Problems(where)
    pairs = list(_pairs(masks, maps, problems))
    problems.raise_any()
    labels = [
        np.zeros(image.size, np.bool_) if mask is None else mask.ravel() for mask, image in pairs
    ]
    values = _joined([image.ravel() for _, image in pairs])
    return np.concatenate(labels) if labels else np.zeros(0, np.bool_), values


def _pairs(
    masks: Iterable[Any], maps: Iterable[Any], problems: Problems
) -> Iterator[tuple[NDArray[np.bool_] | None, NDArray[Any]]]:
    """Masks (None where nothing is defective) with their maps, one at a time.

    Wrong ones are noted and left out.
    """
    n_wrong = 0
    for index, (mask, image) in enumerate(itertools.zip_longest(masks, maps, fillvalue=_ABSENT)):
        if mask is _ABSENT or image is _ABSENT:
            more, fewer = ("maps", "masks") if mask is _ABSENT else ("masks", "maps")
            problems.add(
                "there must be one mask a map",
                f"more {more} than the {index} {fewer}",
                "Pass None for a normal image",
                ShapeError,
            )
            return
        pair = checked_pair(index, mask, image, problems)
        n_wrong += pair is None
        if n_wrong >= _TOLD:
            return
        if pair is not None:
            yield pair


def checked_pair(
    index: int, mask: Any, image: Any, problems: Problems
) -> tuple[NDArray[np.bool_] | None, NDArray[Any]] | None:
    """A mask (None where nothing is defective) and its map; None where they are wrong: noted."""
    truth, values = _mask(mask), array_of(image)
    if _what_is_wrong(index, truth, values, problems):
        return None
    return truth if truth is not None and truth.any() else None, _as_float(values)


def _mask(mask: Any) -> NDArray[Any] | None:
    """Booleans from 0/1 or 0/255; anything else stays as it is and is refused later."""
    if mask is None:
        return None
    array = array_of(mask)
    if array.dtype.kind in "iuf" and array.size:
        high = array.max()
        if high in (0, 1, 255) and np.isin(array, (0, high)).all():
            defective: NDArray[np.bool_] = array != 0
            return defective
    return array


def _what_is_wrong(
    index: int, mask: NDArray[Any] | None, values: NDArray[Any], problems: Problems
) -> bool:
    """Note the first thing wrong with one image; whether there is one."""
    if values.ndim != 2 or values.dtype.kind not in "iufb":
        problems.add(
            "maps must be numbers of shape (height, width)",
            f"map {index} with shape {values.shape}, dtype {values.dtype}",
            "Pass one error a pixel",
            ShapeError,
        )
    elif mask is not None and mask.shape != values.shape:
        problems.add(
            "a mask and its map must have the same size",
            f"mask {index} {mask.shape} and map {values.shape}",
            "Resize the map to the mask",
            ShapeError,
        )
    elif mask is not None and mask.size and mask.dtype != np.bool_:
        problems.add(
            "masks must be True/False, 0/1 or 0/255",
            f"mask {index} of dtype {mask.dtype} with other values",
            "Pass mask > 0, or what is defective",
            LabelError,
        )
    elif not np.isfinite(values).all():
        problems.add(
            "maps must be finite",
            f"{int(np.count_nonzero(~np.isfinite(values)))} NaN or infinite values in map {index}",
            "Correct or leave it out",
            RangeError,
        )
    else:
        return False
    return True


def _as_float(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype in (np.float32, np.float64):
        return values
    return values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
