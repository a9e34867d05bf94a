"""What is compared in each job: each model's metric on the shared images, and the paired test of
two models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation import Evidence
from residua.evaluation.comparison.paired import (
    Paired,
    paired_average_precision,
    paired_means,
    paired_roc_auc,
    paired_shares,
)
from residua.metrics import (
    average_precision_interval,
    mean_interval,
    rate_interval,
    roc_auc_interval,
)
from residua.records import Estimate, Job


@dataclass(frozen=True)
class Measure:
    """A metric that two models of a job can be compared in.

    ``column`` gives an image's value under a model, or None where the evidence lacks it.
    ``estimate`` makes the model's metric of it, ``test`` compares two columns; both also get the
    labels: 0/1 of a detector, None otherwise.
    """

    name: str
    higher_is_better: bool
    column: Callable[[Evidence, NDArray[np.int64]], NDArray[Any] | None]
    estimate: Callable[[NDArray[Any], NDArray[np.bool_] | None, float], Estimate]
    test: Callable[[NDArray[Any], NDArray[Any], NDArray[np.bool_] | None, float], Paired]


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
    return Measure(
        name,
        higher,
        _column(name),
        lambda values, _, confidence: mean_interval(values, confidence=confidence),
        lambda a, b, _, confidence: paired_means(a, b, confidence=confidence),
    )


_ACCURACY = Measure(
    "accuracy",
    True,
    _column("right"),
    lambda right, _, confidence: rate_interval(int(right.sum()), len(right), confidence=confidence),
    lambda a, b, _, confidence: paired_shares(a > 0.5, b > 0.5, confidence=confidence),
)
_LOG_LOSS = Measure(
    "log_loss",
    False,
    _column("log_loss"),
    lambda values, _, confidence: mean_interval(values, confidence=confidence, least=0),
    lambda a, b, _, confidence: paired_means(a, b, confidence=confidence),
)
_ROC_AUC = Measure(
    "roc_auc",
    True,
    _scores,
    lambda scores, flags, confidence: roc_auc_interval(flags, scores, confidence=confidence),
    lambda a, b, flags, confidence: paired_roc_auc(np.asarray(flags), a, b, confidence=confidence),
)
_AVERAGE_PRECISION = Measure(
    "average_precision",
    True,
    _scores,
    lambda scores, flags, confidence: average_precision_interval(
        flags, scores, confidence=confidence
    ),
    lambda a, b, flags, confidence: paired_average_precision(
        np.asarray(flags), a, b, confidence=confidence
    ),
)
