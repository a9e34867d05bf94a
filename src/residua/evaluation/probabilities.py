"""Numbers that need probabilities, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.metrics.intervals import (
    bootstrap_interval,
    mean_interval,
    rate_interval,
    roc_auc_interval,
)
from residua.metrics.probability import top_k_accuracy
from residua.records import Estimate

_BINS = 15


def probability_estimates(
    true: NDArray[np.int64],
    probabilities: NDArray[Any],
    names: Sequence[str],
    *,
    confidence: float,
    seed: int,
) -> dict[str, Estimate]:
    """ROC AUC, log loss, Brier score, calibration error and top-k accuracy.

    With more than two classes ``roc_auc`` is the mean over one-against-rest areas, and its interval
    the mean of theirs: on the safe side, as if the areas moved together.

    Parameters
    ----------
    true : int array, (n_images,)
        Index of the true class.
    probabilities : float array, (n_images, n_classes)
    """
    n, k = probabilities.shape
    p = probabilities.astype(np.float64)
    estimates = {"roc_auc": _roc_auc(true, p, confidence)}
    smallest = float(np.finfo(probabilities.dtype).eps)
    of_truth = np.clip(
        p[np.arange(n), true] / np.maximum(p.sum(axis=1), smallest), smallest, 1 - smallest
    )
    estimates["log_loss"] = mean_interval(
        -np.log(of_truth), confidence=confidence, seed=seed, least=0
    )
    off = p.copy()
    off[np.arange(n), true] -= 1
    squared, most = (off**2).sum(axis=1) / (2 if k == 2 else 1), 1 if k == 2 else 2
    estimates["brier_score"] = mean_interval(
        squared, confidence=confidence, seed=seed, least=0, most=most
    )
    estimates["expected_calibration_error"] = _calibration(true, p, confidence, seed)
    for top in (3, 5):
        if k > top:
            hits = round(top_k_accuracy(true, probabilities, top) * n) if n else 0
            estimates[f"top_{top}_accuracy"] = rate_interval(hits, n, confidence=confidence)
    return estimates


def _roc_auc(true: NDArray[np.int64], p: NDArray[np.float64], confidence: float) -> Estimate:
    k = p.shape[1]
    if k == 2:
        return roc_auc_interval(true == 1, p[:, 1], confidence=confidence)
    areas = [
        roc_auc_interval(true == column, p[:, column], confidence=confidence) for column in range(k)
    ]

    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if len(known) == k else None

    return Estimate(
        value=mean([area.value for area in areas]),
        low=mean([area.low for area in areas]),
        high=mean([area.high for area in areas]),
        confidence=confidence,
        n=len(true),
    )


def _calibration(
    true: NDArray[np.int64], p: NDArray[np.float64], confidence: float, seed: int
) -> Estimate:
    sure, right = p.max(axis=1, initial=0.0), p.argmax(axis=1) == true
    place = np.clip(np.ceil(sure * _BINS).astype(np.int64) - 1, 0, _BINS - 1)

    def error(place: NDArray[np.int64], difference: NDArray[np.float64]) -> float:
        return (
            float(np.abs(np.bincount(place, difference, minlength=_BINS)).sum() / len(place))
            if len(place)
            else float("nan")
        )

    n_resamples = 1000 if len(true) <= 20_000 else 100
    return bootstrap_interval(
        error, place, sure - right, confidence=confidence, n_resamples=n_resamples, seed=seed
    )
