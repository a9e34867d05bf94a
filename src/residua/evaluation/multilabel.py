"""What is known of a classifier that may give an image several labels at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, same_length
from residua.errors import LabelError, ShapeError
from residua.evaluation.conclusion import with_metrics
from residua.evaluation.standings import beside_columns
from residua.findings import JudgedFacts
from residua.metrics.groups import Groups, names_of
from residua.metrics.reported import estimates_of, estimates_per_class
from residua.metrics.samples import SeveralLabels
from residua.records import Estimate

if TYPE_CHECKING:
    from residua.images.duplicates import Leaks


def multilabel_facts(
    labels: Any,
    predictions: Any,
    *,
    classes: Sequence[Any] | NDArray[Any] | None = None,
    baselines: Mapping[str, Mapping[str, Any]] | None = None,
    leaks: Leaks | None = None,
    groups: Any = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> JudgedFacts:
    """What is known of multi-label predictions; a probability above 0.5 counts as predicted.

    Parameters
    ----------
    labels : 0/1 array, (n_images, n_labels)
    predictions : 0/1 array, or float in [0, 1], of the same shape
    classes : sequence, optional
        Names of the labels.
    groups : array, (n_images,), optional
        Names of what the images were sampled in: intervals then speak of new groups.
    """
    y, p = np.asarray(labels).astype(np.bool_), np.asarray(predictions)
    names, grouped = _names(classes, y, p), None if groups is None else Groups.read(groups, len(y))
    predicted = p > 0.5 if p.dtype.kind == "f" else p.astype(np.bool_)
    beside = beside_columns(
        "evaluate_classification",
        baselines,
        {"accuracy": (predicted == y).all(axis=1).astype(np.float64)},
        groups=grouped,
        confidence=confidence,
        seed=seed,
    )
    sample = SeveralLabels(confidence, seed, groups=grouped, holds=y, predicted=predicted, given=p)

    def metrics_of(kept: NDArray[np.bool_]) -> dict[str, Estimate]:
        some = replace(
            sample,
            groups=None if grouped is None else grouped.of(kept),
            holds=y[kept],
            predicted=predicted[kept],
            given=p[kept],
        )
        return estimates_of(some) | estimates_per_class(some, names)

    facts = JudgedFacts(
        job="classify",
        confidence=confidence,
        seed=seed,
        n_images=len(y),
        counts={"test": len(y)},
        multilabel=(y, p),
        baselines=beside.metrics or None,
        standings=beside.standings,
        groups=names_of(groups, grouped),
    )
    return with_metrics(facts, metrics_of, leaks)


def _names(
    classes: Sequence[Any] | NDArray[Any] | None, y: NDArray[Any], p: NDArray[Any]
) -> list[str]:
    problems = Problems("evaluate_classification")
    same_length(problems, labels=y, predictions=p)
    if y.ndim != p.ndim or y.shape[1:] != p.shape[1:]:
        problems.add(
            "multi-label labels and predictions must have one shape",
            f"{y.shape} and {p.shape}",
            "Pass one column per label",
            ShapeError,
        )
    names = [str(name) for name in (range(y.shape[1]) if classes is None else classes)]
    if len(names) != y.shape[1]:
        problems.add(
            "classes must name every label",
            f"{len(names)} names for {y.shape[1]}",
            "Pass one name per column",
            LabelError,
        )
    problems.raise_any()
    return names
