"""Numbers that follow from a confusion matrix, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.metrics.confusion import ConfusionMetrics, metrics_from_confusion
from residua.metrics.intervals import rate_interval
from residua.records import Estimate
from residua.thresholds.rates import f1_estimate

_N_RESAMPLES = 1000
_MOST_CLASSES = 30


def confusion_estimates(
    matrix: NDArray[Any], *, positive: int | None, confidence: float, seed: int
) -> dict[str, Estimate]:
    """Accuracy (Wilson) and what averages over classes (bootstrap, resampled within each true
    class).

    With two classes ``precision``, ``recall`` and ``f1`` are those of the one at place `positive`,
    with more their mean over classes.
    """
    n, k = int(matrix.sum()), len(matrix)
    right = int(np.trace(matrix))
    estimates = {"accuracy": rate_interval(right, n, confidence=confidence)}
    values = _averaged(metrics_from_confusion(matrix), k)
    resampled = _resampled(matrix, seed)
    for name, value in values.items():
        estimates[name] = _estimate(
            value, np.array([one[name] for one in resampled]), n, confidence
        )
    if positive is not None:
        estimates |= {
            name: _one_class(matrix, positive, confidence)[name]
            for name in ("precision", "recall", "f1")
        }
    return estimates


def per_class_estimates(
    matrix: NDArray[Any], names: Sequence[str], *, confidence: float
) -> dict[str, Estimate]:
    """``precision[CLASS]``, ``recall[CLASS]`` and ``f1[CLASS]`` of up to 30 classes; Wilson's
    intervals.
    """
    if len(names) > _MOST_CLASSES:
        return {}
    each = {name: _one_class(matrix, row, confidence) for row, name in enumerate(names)}
    return {
        f"{metric}[{name}]": each[name][metric]
        for metric in ("precision", "recall", "f1")
        for name in names
    }


def _one_class(matrix: NDArray[Any], row: int, confidence: float) -> dict[str, Estimate]:
    hits, support, predicted = (
        int(matrix[row, row]),
        int(matrix[row].sum()),
        int(matrix[:, row].sum()),
    )
    return {
        "precision": rate_interval(hits, predicted, confidence=confidence),
        "recall": rate_interval(hits, support, confidence=confidence),
        "f1": f1_estimate(rate_interval(hits, support + predicted - hits, confidence=confidence)),
    }


def _averaged(told: ConfusionMetrics, k: int) -> dict[str, float]:
    values = {
        "balanced_accuracy": told.balanced_accuracy,
        "matthews_correlation": told.matthews_correlation,
        "cohen_kappa": told.cohen_kappa,
        "f1_weighted": told.average("f1", "weighted"),
    }
    if k == 2:
        return values
    return {
        **values,
        "precision": told.average("precision", "macro"),
        "recall": told.average("recall", "macro"),
        "f1": told.average("f1", "macro"),
    }


def _resampled(matrix: NDArray[Any], seed: int) -> list[dict[str, float]]:
    """The same numbers of resampled matrices: each row drawn anew from its own shares."""
    rng = np.random.default_rng(seed)
    support = matrix.sum(axis=1)
    if support.sum() == 0:
        return []
    shares = np.where(
        support[:, np.newaxis] > 0, matrix / np.maximum(support, 1)[:, np.newaxis], 1 / len(matrix)
    )
    draws = np.stack(
        [
            rng.multinomial(int(count), share, size=_N_RESAMPLES)
            for count, share in zip(support, shares, strict=True)
        ],
        axis=1,
    )
    return [_averaged(metrics_from_confusion(draw), len(matrix)) for draw in draws]


def _estimate(value: float, resampled: NDArray[np.float64], n: int, confidence: float) -> Estimate:
    if not np.isfinite(value):
        return Estimate(value=None, confidence=confidence, n=n)
    finite = resampled[np.isfinite(resampled)]
    if len(finite) < _N_RESAMPLES / 2 or np.ptp(finite) == 0:
        return Estimate(value=value, confidence=confidence, n=n)
    low, high = np.quantile(finite, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(
        value=value,
        low=min(value, float(low)),
        high=max(value, float(high)),
        confidence=confidence,
        n=n,
    )
