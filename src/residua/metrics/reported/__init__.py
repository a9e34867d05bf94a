"""Every metric that a record may hold.

Its name, its words, its direction and format, and how it is computed from each kind of sample, with
its interval.

A metric is one entry in one of the files here. Their order is that of a record.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from residua.metrics.reported.classification import CLASSIFICATION
from residua.metrics.reported.detection import DETECTION
from residua.metrics.reported.metric import Kind, PerImage, ReportedMetric
from residua.metrics.reported.reconstruction import RECONSTRUCTION
from residua.metrics.samples import Floats, PredictedClasses, Sample, SeveralLabels
from residua.records import Estimate

__all__ = [
    "METRICS",
    "Kind",
    "PerImage",
    "ReportedMetric",
    "errors_per_image",
    "estimates_of",
    "estimates_per_class",
]

METRICS: tuple[ReportedMetric, ...] = (*DETECTION, *CLASSIFICATION, *RECONSTRUCTION)
_MOST_CLASSES = 30


def estimates_of(sample: Sample) -> dict[str, Estimate]:
    """Every metric that can be computed from `sample`.

    Examples
    --------
    >>> import numpy as np
    >>> from residua.metrics.samples import ScoredImages
    >>> sample = ScoredImages(is_anomalous=np.array([False, True]), scores=np.array([0.1, 0.9]))
    >>> {name: one.value for name, one in estimates_of(sample).items() if one.value}
    {'roc_auc': 1.0, 'average_precision': 1.0}
    """
    made = ((metric.name, metric.estimate(sample)) for metric in METRICS)
    return {name: one for name, one in made if one is not None}


def estimates_per_class(
    sample: PredictedClasses | SeveralLabels, names: Iterable[str]
) -> dict[str, Estimate]:
    """``recall[CLASS]`` and so on of up to 30 classes or labels."""
    listed = list(names)
    if len(listed) > _MOST_CLASSES:
        return {}
    each = [(name, estimates_of(sample.of_one(place))) for place, name in enumerate(listed)]
    metrics = each[0][1] if each else {}
    return {f"{metric}[{name}]": found[metric] for metric in metrics for name, found in each}


def errors_per_image(images: NDArray[Any], reconstructions: NDArray[Any]) -> dict[str, Floats]:
    """Every metric of every reconstruction, by name.

    Images without height get none that needs neighbouring pixels.
    """
    is_flat = images.shape[1] == 1
    return {
        metric.name: metric.per_image.metric(images, reconstructions)
        for metric in METRICS
        if metric.per_image is not None and not (is_flat and metric.per_image.needs_height)
    }
