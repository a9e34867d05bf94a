"""The confusion matrix, and every number that follows from it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import RangeError, ShapeError
from residua.metrics._classes import classified

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Average = Literal["macro", "micro", "weighted"]


@dataclass(frozen=True)
class ConfusionMetrics:
    """Everything that `metrics_from_confusion` reads off a matrix.

    Arrays are (n_classes,), in the order of its rows.

    ``false_positives`` of a class stand down its column, ``false_negatives`` along its row. Rates
    and averages lie in [0, 1], higher is better, but ``false_positive_rate``; the two coefficients
    lie in [-1, 1]. ``nan`` is undefined: the precision of a class nobody predicted, the recall of
    one that does not occur.
    """

    matrix: NDArray[Any]
    n: float
    true_positives: NDArray[Any]
    false_positives: NDArray[Any]
    false_negatives: NDArray[Any]
    true_negatives: NDArray[Any]
    support: NDArray[Any]
    precision: Floats
    recall: Floats
    f1: Floats
    false_positive_rate: Floats
    accuracy: float
    balanced_accuracy: float
    matthews_correlation: float
    cohen_kappa: float

    def average(self, name: Literal["precision", "recall", "f1"], how: Average) -> float:
        """One number for all classes.

        ``macro`` gives each class the same weight, ``weighted`` each image; both are ``nan`` where
        a class that counts has no value of its own: an average that leaves out the class nobody
        predicted would reward not predicting it. ``micro`` pools the counts; with one label an
        image all three then equal the accuracy.
        """
        if how == "micro":
            return self.accuracy
        values: Floats = getattr(self, name)
        if how == "macro":
            return float(np.mean(values)) if len(values) else float("nan")
        occurs = self.support > 0
        return (
            float(np.average(values[occurs], weights=self.support[occurs]))
            if occurs.any()
            else float("nan")
        )


def confusion_matrix(
    y_true: Any,
    y_pred: Any,
    *,
    classes: Any = None,
    normalise: Literal["true", "predicted", "all"] | None = None,
) -> NDArray[Any]:
    """How often each true class (row) was taken for each class (column).

    Parameters
    ----------
    y_true : array of int or str, (n_images,)
        Classes.
    y_pred : array, (n_images,) or (n_images, n_classes)
        Integers or strings are classes; one float column is P(second class), above 0.5 meaning the
        second; several are probabilities, the first of equal ones winning.
    classes : sequence, optional
        The classes in the order of rows and columns. Left out: all that occur, sorted.
    normalise : 'true', 'predicted', 'all', optional
        Divide by the sum of the row, the column or everything. A row or column without an image
        becomes ``nan``.

    Returns
    -------
    int64 array, (n_classes, n_classes); float64 where `normalise` is given

    Raises
    ------
    LabelError, ShapeError, RangeError
        If lengths differ, a label is missing or not among `classes`, or probabilities are none.

    Examples
    --------
    >>> confusion_matrix(["cat", "cat", "dog"], ["cat", "dog", "dog"])
    array([[1, 1],
           [0, 1]])
    >>> confusion_matrix([0, 0, 1], [0.2, 0.7, 0.9], normalise="true")
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    if normalise not in (None, "true", "predicted", "all"):
        raise RangeError(
            "confusion_matrix: normalise must be 'true', 'predicted', 'all' or None. Got"
            f" {normalise!r}. Pass one of these."
        )
    names, true, predicted, _ = classified("confusion_matrix", y_true, y_pred, classes)
    k = len(names)
    counts = np.bincount(true * k + predicted, minlength=k * k).reshape(k, k)
    if normalise is None:
        return counts
    axis = {"true": 1, "predicted": 0, "all": None}[normalise]
    return _ratio(counts, counts.sum(axis=axis, keepdims=True))


def metrics_from_confusion(matrix: Any) -> ConfusionMetrics:
    """Every metric that a confusion matrix holds; rows are true classes, columns predicted ones.

    Parameters
    ----------
    matrix : array, (n_classes, n_classes)
        Counts, or sums of weights, at least 0.

    Returns
    -------
    ConfusionMetrics

    Raises
    ------
    ShapeError, RangeError
        If the matrix is not square, or holds negative or non-finite numbers.

    Notes
    -----
    Matthews' coefficient for several classes is Gorodkin's (2004); kappa is Cohen's (1960).

    Examples
    --------
    >>> found = metrics_from_confusion([[8, 2], [1, 9]])
    >>> found.accuracy, found.false_positives, found.recall
    (0.85, array([1, 2]), array([0.8, 0.9]))
    >>> (
    ...     round(found.cohen_kappa, 3),
    ...     round(found.matthews_correlation, 3),
    ...     round(found.average("precision", "macro"), 3),
    ... )
    (0.7, 0.704, 0.854)
    """
    counts = _as_matrix(matrix)
    n = counts.sum()
    right, support, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    recall = _ratio(right, support)
    occurs = support > 0
    # Python's integers: n^2 of 1e8 images is beyond float64, and a rounded spread can fall below 0.
    squared = n.item() ** 2
    chance = _dot(support, predicted)
    spread = max(0, squared - _dot(predicted, predicted)) * max(0, squared - _dot(support, support))
    above_chance = n.item() * right.sum().item() - chance
    return ConfusionMetrics(
        matrix=counts,
        n=n.item(),
        true_positives=right,
        false_positives=predicted - right,
        false_negatives=support - right,
        true_negatives=n - support - predicted + right,
        support=support,
        precision=_ratio(right, predicted),
        recall=recall,
        f1=_ratio(2 * right, support + predicted),
        false_positive_rate=_ratio(predicted - right, n - support),
        accuracy=_quotient(right.sum(), n),
        balanced_accuracy=float(recall[occurs].mean()) if occurs.any() else float("nan"),
        matthews_correlation=_quotient(above_chance, spread**0.5),
        cohen_kappa=_quotient(above_chance, squared - chance),
    )


def _as_matrix(matrix: Any) -> NDArray[Any]:
    problems = Problems("metrics_from_confusion")
    try:
        counts = np.asarray(matrix)
    except ValueError:  # rows of different lengths
        counts = np.zeros(0)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        problems.add(
            "a confusion matrix must be square, rows true and columns predicted",
            f"shape {counts.shape}",
            "Count all classes on both sides",
            ShapeError,
        )
    if counts.dtype.kind not in "iuf" or not np.isfinite(counts).all() or (counts < 0).any():
        problems.add(
            "a confusion matrix must hold counts, at least 0",
            f"dtype {counts.dtype}",
            "Pass counts, not rates in %",
            RangeError,
        )
    problems.raise_any()
    return counts if counts.dtype.kind == "f" else counts.astype(np.int64)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """`part / whole`, nan where there is nothing to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole == 0, np.nan, part / whole)


def _dot(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Sum of products, exact where the counts are integers."""
    total: float = sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))
    return total


def _quotient(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")
