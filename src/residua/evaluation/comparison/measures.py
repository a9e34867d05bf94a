"""What is compared in each job, and by which paired test."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation import Evidence
from residua.evaluation.paired import (
    Paired,
    paired_average_precision,
    paired_means,
    paired_roc_auc,
    paired_shares,
)
from residua.metrics import average_precision_interval, mean_interval, roc_auc_interval
from residua.metrics.groups import Groups
from residua.metrics.intervals import share_interval
from residua.records import Estimate, Job


@dataclass(frozen=True)
class Images:
    """What is known of the shared images: a detector's labels, and what was sampled together."""

    flags: NDArray[np.bool_] | None = None
    groups: Groups | None = None

    @property
    def is_anomalous(self) -> NDArray[np.bool_]:
        """A detector's labels, (n_images,)."""
        return np.asarray(self.flags, np.bool_)


@dataclass(frozen=True)
class Measure:
    """A metric that two models of a job can be compared in.

    ``column`` gives an image's value under a model, or None where the evidence lacks it.
    ``estimate`` makes the model's metric of it, ``test`` compares two columns; both also get what
    is known of the images.
    """

    name: str
    higher_is_better: bool
    column: Callable[[Evidence, NDArray[np.int64]], NDArray[Any] | None]
    estimate: Callable[[NDArray[Any], Images, float], Estimate]
    test: Callable[[NDArray[Any], NDArray[Any], Images, float], Paired]


def measures_of(job: Job) -> tuple[Measure, ...]:
    """The measures of a job; the first that all models have is what the sentence is about."""
    errors = tuple(
        _mean_of(name, higher=name in ("psnr", "ssim")) for name in ("mse", "ssim", "psnr")
    )
    if job == "classify":
        return (_ACCURACY, _LOG_LOSS, errors[0])
    return (_ROC_AUC, _AVERAGE_PRECISION) if job == "detect" else errors


def _column(name: str) -> Callable[[Evidence, NDArray[np.int64]], NDArray[Any] | None]:
    def column(evidence: Evidence, rows: NDArray[np.int64]) -> NDArray[Any] | None:
        return (
            np.asarray(evidence.per_image[name], np.float64)[rows]
            if name in evidence.per_image
            else None
        )

    return column


def _scores(evidence: Evidence, rows: NDArray[np.int64]) -> NDArray[Any] | None:
    return None if evidence.scores is None else np.asarray(evidence.scores)[rows]


def _mean_of(name: str, *, higher: bool) -> Measure:
    least = -math.inf if higher else 0.0
    return Measure(
        name,
        higher,
        _column(name),
        lambda values, images, confidence: mean_interval(
            values, confidence=confidence, least=least, groups=images.groups
        ),
        lambda a, b, images, confidence: paired_means(
            a, b, confidence=confidence, groups=images.groups
        ),
    )


_ACCURACY = Measure(
    "accuracy",
    True,
    _column("right"),
    lambda right, images, confidence: share_interval(
        right > 0.5, images.groups, confidence=confidence
    ),
    lambda a, b, images, confidence: paired_shares(
        a > 0.5, b > 0.5, confidence=confidence, groups=images.groups
    ),
)
_LOG_LOSS = _mean_of("log_loss", higher=False)
_ROC_AUC = Measure(
    "roc_auc",
    True,
    _scores,
    lambda scores, images, confidence: roc_auc_interval(
        images.is_anomalous, scores, confidence=confidence, groups=images.groups
    ),
    lambda a, b, images, confidence: paired_roc_auc(
        images.is_anomalous, a, b, confidence=confidence, groups=images.groups
    ),
)
_AVERAGE_PRECISION = Measure(
    "average_precision",
    True,
    _scores,
    lambda scores, images, confidence: average_precision_interval(
        images.is_anomalous, scores, confidence=confidence, groups=images.groups
    ),
    lambda a, b, images, confidence: paired_average_precision(
        images.is_anomalous, a, b, confidence=confidence, groups=images.groups
    ),
)
