"""A detector's error maps beside the masks of defects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from residua._check import Problems
from residua.errors import ShapeError
from residua.evaluation.labels import DetectionLabels
from residua.metrics.pixel_tally import PixelTally


def tallied(masks: Sequence[Any], maps: Sequence[Any], truth: DetectionLabels) -> PixelTally:
    """The pixels of all maps whose mask is known.

    A mask None on a normal image is empty; on an anomalous or unlabelled one it is unknown, and the
    image is left out.
    """
    tally, problems = PixelTally(), Problems("evaluate_detection")
    is_normal = truth.labelled & ~truth.is_anomalous
    for index, (mask, error_map) in enumerate(zip(masks, maps, strict=True)):
        if mask is not None and np.shape(mask) != np.shape(error_map):
            problems.add(
                "a mask and its map must have the same shape",
                f"{np.shape(mask)} and {np.shape(error_map)} for image {index}",
                "Resize the map to the image's size",
                ShapeError,
            )
        elif mask is not None or is_normal[index]:
            tally.add(mask, error_map)
    problems.raise_any()
    return tally
