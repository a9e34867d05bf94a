"""How good predicted classes are: from the classes, or from the confusion matrix that they make.

`y_true` holds integers or strings, one an image. `y_pred` is either the same, or floats: one column
is P(second class), above 0.5 meaning the second; several are probabilities, the first of equal ones
winning. What the data cannot define is ``nan``, never 0. Metrics of the probabilities themselves
are in `residua.metrics.probability`.
"""

from __future__ import annotations

from typing import Any, Literal, overload

from residua.metrics._classes import check_average
from residua.metrics.confusion import (
    Average,
    ConfusionMetrics,
    Floats,
    confusion_matrix,
    metrics_from_confusion,
)
from residua.metrics.probability import (
    Reliability,
    brier_score,
    expected_calibration_error,
    log_loss,
    multiclass_roc_auc,
    reliability_table,
    roc_auc_per_class,
    top_k_accuracy,
)

__all__ = [
    "ConfusionMetrics",
    "Reliability",
    "accuracy",
    "balanced_accuracy",
    "brier_score",
    "cohen_kappa",
    "confusion_matrix",
    "expected_calibration_error",
    "f1",
    "log_loss",
    "matthews_correlation",
    "metrics_from_confusion",
    "multiclass_roc_auc",
    "precision",
    "recall",
    "reliability_table",
    "roc_auc_per_class",
    "top_k_accuracy",
]


def accuracy(y_true: Any, y_pred: Any, *, classes: Any = None) -> float:
    """Share of the images whose class was predicted, in [0, 1] (higher is better).

    This compares classes. It is not what Keras prints as 'accuracy' for every shape: see
    `residua.metrics.keras`.

    Parameters
    ----------
    y_true : array of int or str, (n_images,)
        True classes.
    y_pred : array, (n_images,) or (n_images, n_classes)
        Predicted classes, P(second class), or probabilities.
    classes : sequence, optional
        All classes; those of the columns, where `y_pred` has several.

    Returns
    -------
    float
        ``nan`` where there is no image.

    Raises
    ------
    LabelError, ShapeError, RangeError
        If lengths differ, a label is missing or not among `classes`, or probabilities are none.

    Examples
    --------
    >>> accuracy([0, 1, 2, 2], [0, 1, 2, 0]), accuracy(["good", "bad"], ["good", "good"])
    (0.75, 0.5)
    """
    return _from(y_true, y_pred, classes).accuracy


def balanced_accuracy(y_true: Any, y_pred: Any, *, classes: Any = None) -> float:
    """Mean recall of the classes that occur, in [0, 1] (higher is better).

    Guessing one class gets 1 / n_classes.

    Parameters and errors are those of `accuracy`.

    Examples
    --------
    >>> balanced_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    0.5
    """
    return _from(y_true, y_pred, classes).balanced_accuracy


def matthews_correlation(y_true: Any, y_pred: Any, *, classes: Any = None) -> float:
    """Correlation between true and predicted classes, in [-1, 1] (higher is better, 0 is chance).

    ``nan`` where only one class is true or only one is predicted. Parameters and errors are those
    of `accuracy`.

    Examples
    --------
    >>> (
    ...     round(matthews_correlation([0, 0, 1, 1], [0, 0, 1, 0]), 4),
    ...     matthews_correlation([0, 0, 1, 1], [0, 0, 0, 0]),
    ... )
    (0.5774, nan)
    """
    return _from(y_true, y_pred, classes).matthews_correlation


def cohen_kappa(y_true: Any, y_pred: Any, *, classes: Any = None) -> float:
    """Agreement beyond chance, at most 1 (higher is better, 0 is chance).

    ``nan`` where all is one class on both sides. Parameters and errors are those of `accuracy`.

    Examples
    --------
    >>> cohen_kappa([0, 0, 1, 1], [0, 0, 1, 0])
    0.5
    """
    return _from(y_true, y_pred, classes).cohen_kappa


@overload
def precision(y_true: Any, y_pred: Any, *, average: None = None, classes: Any = None) -> Floats: ...
@overload
def precision(y_true: Any, y_pred: Any, *, average: Average, classes: Any = None) -> float: ...
def precision(
    y_true: Any, y_pred: Any, *, average: Average | None = None, classes: Any = None
) -> Floats | float:
    """Share of the images predicted as a class that are of it: TP / (TP + FP), in [0, 1].

    Higher is better.

    Parameters
    ----------
    y_true, y_pred, classes
        As for `accuracy`.
    average : 'macro', 'micro', 'weighted', optional
        Left out: one value a class. ``macro`` weighs classes alike, ``weighted`` by how often they
        occur; both are ``nan`` where a class that counts is. ``micro`` pools the counts and equals
        `accuracy`.

    Returns
    -------
    float64 array, (n_classes,), or float
        ``nan`` for a class that was never predicted.

    Examples
    --------
    >>> precision([0, 0, 1, 2], [0, 0, 0, 2])
    array([0.66666667,        nan, 1.        ])
    >>> round(precision([0, 0, 1, 1], [0, 0, 0, 1], average="macro"), 4)
    0.8333
    """
    return _averaged("precision", y_true, y_pred, average, classes)


@overload
def recall(y_true: Any, y_pred: Any, *, average: None = None, classes: Any = None) -> Floats: ...
@overload
def recall(y_true: Any, y_pred: Any, *, average: Average, classes: Any = None) -> float: ...
def recall(
    y_true: Any, y_pred: Any, *, average: Average | None = None, classes: Any = None
) -> Floats | float:
    """Share of the images of a class that were predicted as it: TP / (TP + FN), in [0, 1].

    Higher is better.

    ``nan`` for a class that does not occur in `y_true`. Parameters and errors are those of
    `precision`.

    Examples
    --------
    >>> recall([0, 0, 1, 1], [0, 0, 0, 1])
    array([1. , 0.5])
    """
    return _averaged("recall", y_true, y_pred, average, classes)


@overload
def f1(y_true: Any, y_pred: Any, *, average: None = None, classes: Any = None) -> Floats: ...
@overload
def f1(y_true: Any, y_pred: Any, *, average: Average, classes: Any = None) -> float: ...
def f1(
    y_true: Any, y_pred: Any, *, average: Average | None = None, classes: Any = None
) -> Floats | float:
    """Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN), in [0, 1] (higher is better).

    0 for a class that occurs but was never predicted, ``nan`` for one that neither occurs nor was
    predicted. The macro average is the mean of the classes' own F1. Parameters and errors are those
    of `precision`.

    Examples
    --------
    >>> f1([0, 0, 1, 1], [0, 0, 0, 1]).round(4)
    array([0.8   , 0.6667])
    """
    return _averaged("f1", y_true, y_pred, average, classes)


def _from(y_true: Any, y_pred: Any, classes: Any) -> ConfusionMetrics:
    return metrics_from_confusion(confusion_matrix(y_true, y_pred, classes=classes))


def _averaged(
    name: Literal["precision", "recall", "f1"],
    y_true: Any,
    y_pred: Any,
    average: Average | None,
    classes: Any,
) -> Floats | float:
    check_average(name, average, ("macro", "micro", "weighted"))
    found = _from(y_true, y_pred, classes)
    if average is None:
        per_class: Floats = getattr(found, name)
        return per_class
    return found.average(name, average)
