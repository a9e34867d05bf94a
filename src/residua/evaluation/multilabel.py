"""What is known of a classifier that may give an image several labels at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, same_length
from residua.errors import LabelError, ShapeError
from residua.evaluation.judgement import conclude
from residua.findings import JudgedFacts
from residua.metrics.intervals import (
    average_precision_interval,
    bootstrap_interval,
    mean_interval,
    rate_interval,
)
from residua.metrics.multilabel import multilabel_average_precision, multilabel_f1
from residua.records import Estimate, Evaluation
from residua.thresholds.rates import f1_estimate

# Above this many images the averages over labels, which need a sort each, get no interval.
_MOST_RESAMPLED = 5000


def evaluate_multilabel(
    labels: Any,
    predictions: Any,
    *,
    classes: Sequence[Any] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    split: str = "test",
    provenance: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Judge multi-label predictions; a probability above 0.5 counts as predicted.

    Parameters
    ----------
    labels : 0/1 array, (n_images, n_labels)
    predictions : 0/1 array, or float in [0, 1], of the same shape
    classes : sequence, optional
        Names of the labels.

    Returns
    -------
    Evaluation
        ``accuracy`` (of whole images: subset accuracy, as in scikit-learn),
        ``element_wise_accuracy`` with a finding that says how far it flatters, ``hamming_loss``,
        ``precision``, ``recall`` and ``f1`` pooled over labels, ``f1_macro``, ``average_precision``
        (mean over labels); of up to 30 labels ``recall[LABEL]``, ``precision[LABEL]``,
        ``f1[LABEL]``, ``average_precision[LABEL]``. Intervals of what is pooled over labels
        resample images.

    Examples
    --------
    >>> record = evaluate_multilabel([[1, 0, 0, 0, 0, 1]], [[0.23, 0.34, 0.45, 0.22, 0.10, 0.9]])
    >>> (
    ...     round(record.metrics["element_wise_accuracy"].value, 3),
    ...     record.metrics["recall"].value,
    ...     record.metrics["accuracy"].value,
    ... )
    (0.833, 0.5, 0.0)
    """
    facts = multilabel_facts(labels, predictions, classes=classes, confidence=confidence, seed=seed)
    return conclude(facts, split=split, provenance=provenance).evaluation


def multilabel_facts(
    labels: Any,
    predictions: Any,
    *,
    classes: Sequence[Any] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> JudgedFacts:
    """What `evaluate_multilabel` knows once its arguments are checked."""
    y, p = np.asarray(labels).astype(np.bool_), np.asarray(predictions)
    names = _names(classes, y, p)
    predicted = p > 0.5 if p.dtype.kind == "f" else p.astype(np.bool_)
    metrics = _metrics(y, predicted, p, confidence, seed) | _per_label(
        y, predicted, p, names, confidence
    )
    return JudgedFacts(
        job="classify",
        confidence=confidence,
        seed=seed,
        n_images=len(y),
        counts={"test": len(y)},
        metrics=metrics,
        multilabel=(y, p),
    )


def _names(classes: Sequence[Any] | None, y: NDArray[Any], p: NDArray[Any]) -> list[str]:
    problems = Problems("evaluate_classification")
    same_length(problems, labels=y, predictions=p)
    if y.ndim != p.ndim or y.shape[1:] != p.shape[1:]:
        problems.add(
            "multi-label labels and predictions must have one shape",
            f"{y.shape} and {p.shape}",
            "Pass one column a label",
            ShapeError,
        )
    names = [str(name) for name in (range(y.shape[1]) if classes is None else classes)]
    if len(names) != y.shape[1]:
        problems.add(
            "classes must name every label",
            f"{len(names)} names for {y.shape[1]}",
            "Pass one name a column",
            LabelError,
        )
    problems.raise_any()
    return names


def _metrics(
    y: NDArray[np.bool_],
    predicted: NDArray[np.bool_],
    p: NDArray[Any],
    confidence: float,
    seed: int,
) -> dict[str, Estimate]:
    both, found, held = (matrix.sum(axis=1) for matrix in (y & predicted, predicted, y))
    wrong = (y != predicted).mean(axis=1)

    def resampled(top: NDArray[Any], bottom: NDArray[Any]) -> Estimate:
        return bootstrap_interval(
            _share, top, bottom, confidence=confidence, seed=seed, vectorised=True
        )

    def of_labels(statistic: Callable[..., float], values: NDArray[Any]) -> Estimate:
        if len(y) > _MOST_RESAMPLED:
            value = statistic(y, values)
            return Estimate(
                value=value if np.isfinite(value) else None, confidence=confidence, n=len(y)
            )
        return bootstrap_interval(
            statistic, y, values, confidence=confidence, n_resamples=200, seed=seed
        )

    return {
        "accuracy": rate_interval(int((wrong == 0).sum()), len(y), confidence=confidence),
        "element_wise_accuracy": mean_interval(
            1 - wrong, confidence=confidence, seed=seed, least=0, most=1
        ),
        "hamming_loss": mean_interval(wrong, confidence=confidence, seed=seed, least=0, most=1),
        "precision": resampled(both, found),
        "recall": resampled(both, held),
        "f1": resampled(2 * both, found + held),
        "f1_macro": of_labels(
            lambda labels, given: multilabel_f1(labels, given, average="macro"), p
        ),
        "average_precision": of_labels(
            lambda labels, given: multilabel_average_precision(labels, given, average="macro"),
            p.astype(np.float64),
        ),
    }


def _share(top: NDArray[Any], bottom: NDArray[Any]) -> NDArray[np.float64]:
    """Sum of `top` over sum of `bottom` of each resample."""
    of = bottom.sum(axis=1)
    return np.asarray(np.divide(top.sum(axis=1), of, out=np.full(len(of), np.nan), where=of > 0))


def _per_label(
    y: NDArray[np.bool_],
    predicted: NDArray[np.bool_],
    p: NDArray[Any],
    names: list[str],
    confidence: float,
) -> dict[str, Estimate]:
    if len(names) > 30:
        return {}
    each = {
        name: _one_label(y[:, i], predicted[:, i], p[:, i], confidence)
        for i, name in enumerate(names)
    }
    return {
        f"{metric}[{name}]": each[name][metric]
        for metric in ("recall", "precision", "f1", "average_precision")
        for name in names
    }


def _one_label(
    holds: NDArray[np.bool_], predicted: NDArray[np.bool_], p: NDArray[Any], confidence: float
) -> dict[str, Estimate]:
    hits, n_holds, n_predicted = (
        int((holds & predicted).sum()),
        int(holds.sum()),
        int(predicted.sum()),
    )
    return {
        "recall": rate_interval(hits, n_holds, confidence=confidence),
        "precision": rate_interval(hits, n_predicted, confidence=confidence),
        "f1": f1_estimate(rate_interval(hits, n_holds + n_predicted - hits, confidence=confidence)),
        "average_precision": average_precision_interval(
            holds, p.astype(np.float64), confidence=confidence
        ),
    }
