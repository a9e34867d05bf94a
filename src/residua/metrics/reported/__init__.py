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
from residua.metrics.samples import Floats, PredictedClasses, Sample, ScoredImages, SeveralLabels
from residua.records import Estimate

__all__ = [
    "METRICS",
    "Kind",
    "PerImage",
    "ReportedMetric",
    "errors_per_image",
    "estimates_of",
    "estimates_per_class",
    "estimates_per_kind",
]

METRICS: tuple[ReportedMetric, ...] = (*DETECTION, *CLASSIFICATION, *RECONSTRUCTION)
_MOST_CLASSES = 30


def estimates_of(sample: Sample) -> dict[str, Estimate]:
    """Every metric that can be computed from `sample`.

    >>> import numpy as np
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


def estimates_per_kind(sample: ScoredImages) -> dict[str, Estimate]:
    """``recall[KIND]`` and so on of up to 30 kinds of anomalies; what is not defined is left out.

    >>> import numpy as np
    >>> sample = ScoredImages(
    ...     is_anomalous=np.array([False, True, True]),
    ...     scores=np.array([0.1, 0.9, 0.05]),
    ...     kinds=np.array(["good", "crack", "dent"]),
    ... )
    >>> {name: one.value for name, one in estimates_per_kind(sample).items()}
    {'roc_auc[crack]': 1.0, 'roc_auc[dent]': 0.0}
    """
    names = sample.kind_names
    if len(names) > _MOST_CLASSES:
        return {}
    each = {name: sample.of_kind(name) for name in names}
    made = {
        f"{metric.name}[{name}]": metric.estimate(of_kind)
        for metric in METRICS
        if metric.is_by_kind
        for name, of_kind in each.items()
    }
    return {name: one for name, one in made.items() if one is not None and one.value is not None}


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
