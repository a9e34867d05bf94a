"""The one metric that somebody asked for: given, refused where it means nothing, or unknown."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np

from residua.errors import InputError
from residua.evaluation.pictures import Pictures
from residua.findings import find_meaningless_accuracy
from residua.metrics.demonstration import AccuracyDemonstration, accuracy_demonstration
from residua.records import Evaluation

# Metrics of decisions about classes. A model that reconstructs makes none.
_OF_CLASSES = (
    "accuracy", "acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy",
    "balanced_accuracy", "precision",
    "recall", "f1", "top_3_accuracy", "top_5_accuracy", "confusion_matrix", "log_loss", "roc_auc",
    "average_precision",
)  # fmt: skip
_OF_PROBABILITIES = (
    "roc_auc", "log_loss", "brier_score", "expected_calibration_error", "top_3_accuracy",
    "top_5_accuracy", "average_precision",
)  # fmt: skip
_OF_RANKING = ("roc_auc", "average_precision")


def asked_for(
    metric: str | None, evaluation: Evaluation, given: tuple[Any, Any], pictures: Pictures | None
) -> Evaluation:
    """The evaluation with the metric asked for alone; with all of them and a finding where it means
    nothing.

    `given` holds images and reconstructions as they came, `pictures` how they were read.
    """
    if metric is None:
        return evaluation
    name = metric.strip().lower().replace("-", "_").replace(" ", "_")
    name = "accuracy" if name == "acc" else name
    if name in evaluation.metrics and not (
        evaluation.metrics[name].value is None and name in _OF_CLASSES
    ):
        return evaluation.model_copy(update={"metrics": {name: evaluation.metrics[name]}})
    if evaluation.job != "classify" and name in _OF_CLASSES:
        return _refused(name, evaluation, given, pictures)
    if name in evaluation.metrics:
        return evaluation.model_copy(update={"metrics": {name: evaluation.metrics[name]}})
    if evaluation.job == "classify" and name in _OF_PROBABILITIES:
        raise InputError(
            f"judge: {name} needs probabilities. Got classes. Pass one column of probabilities per"
            " class (--predictions), or ask for accuracy."
        )
    near = difflib.get_close_matches(name, list(evaluation.metrics), n=1, cutoff=0.5)
    known = ", ".join(list(evaluation.metrics)[:12])
    mend = f"Did you mean {near[0]}" if near else f"Name one of {known}"
    raise InputError(
        f"judge: --metric must be a metric that these arrays define. Got {metric!r}. {mend}."
    )


def _refused(
    name: str, evaluation: Evaluation, given: tuple[Any, Any], pictures: Pictures | None
) -> Evaluation:
    has_labels = any(
        estimate.n for key, estimate in evaluation.metrics.items() if key in _OF_RANKING
    )
    if evaluation.job == "detect" and has_labels and name not in evaluation.metrics:
        raise InputError(
            f"judge: {name} needs decisions. Got no threshold. Pass --threshold or --policy, or ask"
            " for roc_auc."
        )
    if evaluation.job == "detect" and has_labels:
        return evaluation.model_copy(update={"metrics": {name: evaluation.metrics[name]}})
    finding = find_meaningless_accuracy(
        "reconstruct" if given[0] is not None else evaluation.job,
        metric=name,
        demonstration=_demonstration(given, pictures),
    )
    return evaluation.model_copy(update={"findings": (finding, *evaluation.findings)})


def _demonstration(
    given: tuple[Any, Any], pictures: Pictures | None
) -> AccuracyDemonstration | None:
    """What Keras computes on the arrays as they were given: their shape decides its rule, their
    scale its value.
    """
    if pictures is None or pictures.of_images is None or np.shape(given[0]) != np.shape(given[1]):
        return None
    black, white = (pictures.of_images.in_shape(np.shape(given[0]), level) for level in (0.0, 1.0))
    return accuracy_demonstration(*given, black=black, white=white)
