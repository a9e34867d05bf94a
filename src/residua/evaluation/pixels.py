"""Pixel metrics of a detector's error maps against defect masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from residua._check import Problems
from residua.errors import ShapeError
from residua.evaluation.labels import DetectionLabels
from residua.records import Estimate

if TYPE_CHECKING:
    from residua.metrics.pixel_tally import PixelTally


def pixel_metrics(
    masks: Sequence[Any], maps: Sequence[Any], truth: DetectionLabels, *, confidence: float
) -> dict[str, Estimate]:
    """``pixel_roc_auc``, ``pixel_average_precision`` and ``aupro`` over all pixels whose mask is
    known.

    A mask None on a normal image is empty; on an anomalous or unlabelled one it is unknown and the
    image is left out. Pixels of an image are not independent, so no interval is given; ``n`` is the
    number of images.
    """
    from residua.metrics.pixel import aupro, pixel_average_precision, pixel_roc_auc

    kept_masks, kept_maps = _known(masks, maps, truth)
    if not any(mask.any() for mask in kept_masks) or all(mask.all() for mask in kept_masks):
        values = dict.fromkeys(("pixel_roc_auc", "pixel_average_precision", "aupro"), math.nan)
    else:
        values = {
            "pixel_roc_auc": pixel_roc_auc(kept_masks, kept_maps),
            "pixel_average_precision": pixel_average_precision(kept_masks, kept_maps),
            "aupro": aupro(kept_masks, kept_maps),
        }
    return _estimates(values, len(kept_maps), confidence)


def tallied_metrics(tally: PixelTally, *, confidence: float) -> dict[str, Estimate]:
    """The same of maps that were added one at a time."""
    values = {
        "pixel_roc_auc": tally.roc_auc(),
        "pixel_average_precision": tally.average_precision(),
        "aupro": tally.aupro() if tally.n_images else math.nan,
    }
    return _estimates(values, tally.n_images, confidence)


def _estimates(values: dict[str, float], n: int, confidence: float) -> dict[str, Estimate]:
    return {
        name: Estimate(value=value if np.isfinite(value) else None, confidence=confidence, n=n)
        for name, value in values.items()
    }


def _known(
    masks: Sequence[Any], maps: Sequence[Any], truth: DetectionLabels
) -> tuple[list[Any], list[Any]]:
    kept_masks, kept_maps = [], []
    problems = Problems("evaluate_detection")
    for index, error_map in enumerate(maps):
        mask = masks[index]
        if mask is None:
            if truth.labelled[index] and not truth.is_anomalous[index]:
                kept_masks.append(np.zeros(np.shape(error_map), np.bool_))
                kept_maps.append(np.asarray(error_map))
            continue
        if np.shape(mask) != np.shape(error_map):
            got = f"{np.shape(mask)} and {np.shape(error_map)} for image {index}"
            problems.add(
                "a mask and its map must have the same shape",
                got,
                "Resize the map to the image's size",
                ShapeError,
            )
            continue
        kept_masks.append(np.asarray(mask, np.bool_))
        kept_maps.append(np.asarray(error_map))
    problems.raise_any()
    return kept_masks, kept_maps
