"""Several labels may hold for one image at once.

What counts as right, and how much element-wise accuracy flatters.

`y_true` is a matrix of 0 and 1 (or booleans), (n_images, n_labels). `y_pred` is either the same or
floats in [0, 1], which are cut at `threshold`, strictly above meaning "holds". Average precision
needs the floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, array_of, unmasked
from residua.errors import LabelError, RangeError, ShapeError
from residua.metrics._classes import check_average
from residua.metrics.ranking import average_precision

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Average = Literal["micro", "macro"]


@dataclass(frozen=True)
class Inflation:
    """Element-wise accuracy beside what it hides.

    ``element_wise_accuracy`` is what a binary accuracy prints; ``all_negative_accuracy`` what an
    answer of "nothing holds" would get; ``gain`` the first above the second, divided by what was
    left to gain: 1 is perfect, 0 no better than silence, below 0 worse. ``recall`` and
    ``precision`` pool all labels. ``nan`` is undefined.
    """

    element_wise_accuracy: float
    all_negative_accuracy: float
    gain: float
    subset_accuracy: float
    recall: float
    precision: float
    meaning: str


def subset_accuracy(y_true: Any, y_pred: Any, *, threshold: float = 0.5) -> float:
    """Share of the images all of whose labels are right, in [0, 1] (higher is better).

    Parameters
    ----------
    y_true : array of 0 and 1, (n_images, n_labels)
        Which labels hold.
    y_pred : array of 0 and 1, or of floats in [0, 1], of the same shape
        Which were predicted, or how probable each is.
    threshold : float in [0, 1]
        A float above it, strictly, counts as predicted.

    Returns
    -------
    float
        ``nan`` where there is no image.

    Raises
    ------
    ShapeError, LabelError, RangeError
        If shapes differ, or values are not 0 and 1 (`y_true`) or not in [0, 1] (`y_pred`).

    Examples
    --------
    >>> subset_accuracy([[1, 0, 1], [0, 0, 1]], [[1, 0, 1], [0, 1, 1]])
    0.5
    """
    truth, predicted = _both("subset_accuracy", y_true, y_pred, threshold)
    return _mean((truth == predicted).all(axis=1))


def element_wise_accuracy(y_true: Any, y_pred: Any, *, threshold: float = 0.5) -> float:
    """Share of all single answers that are right, in [0, 1] (higher is better).

    Answers are counted over images and labels.

    What Keras' ``BinaryAccuracy`` computes. Where few labels hold, an answer of "nothing holds"
    scores high: state it with `inflation`, or use `subset_accuracy`, F1 and average precision.
    Parameters and errors are those of `subset_accuracy`.

    Examples
    --------
    >>> round(element_wise_accuracy([[1, 0, 0, 0, 0, 1]], [[0.23, 0.34, 0.45, 0.22, 0.10, 0.9]]), 4)
    0.8333
    """
    truth, predicted = _both("element_wise_accuracy", y_true, y_pred, threshold)
    return _mean(truth == predicted)


def hamming_loss(y_true: Any, y_pred: Any, *, threshold: float = 0.5) -> float:
    """Share of all single answers that are wrong, in [0, 1] (lower is better).

    It is 1 - `element_wise_accuracy`.

    It flatters in the same way. Parameters and errors are those of `subset_accuracy`.

    Examples
    --------
    >>> hamming_loss([[1, 0, 1, 0]], [[1, 0, 0, 0]])
    0.25
    """
    truth, predicted = _both("hamming_loss", y_true, y_pred, threshold)
    return _mean(truth != predicted)


@overload
def multilabel_f1(
    y_true: Any, y_pred: Any, *, average: None = None, threshold: float = 0.5
) -> Floats: ...
@overload
def multilabel_f1(
    y_true: Any, y_pred: Any, *, average: Average, threshold: float = 0.5
) -> float: ...
def multilabel_f1(
    y_true: Any, y_pred: Any, *, average: Average | None = None, threshold: float = 0.5
) -> Floats | float:
    """F1 of each label, 2 TP / (2 TP + FP + FN), in [0, 1] (higher is better).

    Parameters
    ----------
    y_true, y_pred, threshold
        As for `subset_accuracy`.
    average : 'micro', 'macro', optional
        Left out: one value a label. ``micro`` pools the counts of all labels, ``macro`` weighs
        labels alike and is ``nan`` where one of them is.

    Returns
    -------
    float64 array, (n_labels,), or float
        ``nan`` for a label that neither holds nor was predicted anywhere.

    Examples
    --------
    >>> truth, predicted = [[1, 0], [1, 1], [0, 0]], [[1, 0], [0, 1], [0, 1]]
    >>> (
    ...     multilabel_f1(truth, predicted).round(4),
    ...     round(multilabel_f1(truth, predicted, average="micro"), 4),
    ... )
    (array([0.6667, 0.6667]), 0.6667)
    """
    check_average("multilabel_f1", average, ("micro", "macro"))
    truth, predicted = _both("multilabel_f1", y_true, y_pred, threshold)
    right, claimed = (truth & predicted).sum(axis=0), truth.sum(axis=0) + predicted.sum(axis=0)
    if average == "micro":
        return _ratio(2 * int(right.sum()), int(claimed.sum()))
    per_label = np.array(
        [_ratio(2 * a, b) for a, b in zip(right.tolist(), claimed.tolist(), strict=True)]
    )
    return per_label if average is None else _mean(per_label)


@overload
def multilabel_average_precision(y_true: Any, scores: Any, *, average: None = None) -> Floats: ...
@overload
def multilabel_average_precision(y_true: Any, scores: Any, *, average: Average) -> float: ...
def multilabel_average_precision(
    y_true: Any, scores: Any, *, average: Average | None = None
) -> Floats | float:
    """Average precision of each label, in [0, 1] (higher is better).

    A random ranking gets the share of positives.

    Parameters
    ----------
    y_true : array of 0 and 1, (n_images, n_labels)
        Which labels hold.
    scores : float array of the same shape
        Higher = more likely to hold; any finite scale.
    average : 'micro', 'macro', optional
        Left out: one value a label. ``micro`` ranks all answers together, which presumes one scale
        for all labels.

    Returns
    -------
    float64 array, (n_labels,), or float
        ``nan`` for a label that holds nowhere, or everywhere.

    Examples
    --------
    >>> multilabel_average_precision(
    ...     [[1, 0], [0, 1], [1, 0]], [[0.9, 0.1], [0.5, 0.2], [0.4, 0.7]]
    ... ).round(4)
    array([0.8333, 0.5   ])
    """
    check_average("multilabel_average_precision", average, ("micro", "macro"))
    problems = Problems("multilabel_average_precision")
    truth, values = _as_matrix(y_true, "y_true", problems), array_of(scores)
    _same_shape(truth, values, "scores", problems)
    problems.raise_any()
    if average == "micro":
        return average_precision(truth.ravel(), values.ravel())
    per_label = np.array(
        [average_precision(truth[:, label], values[:, label]) for label in range(truth.shape[1])]
    )
    return per_label if average is None else _mean(per_label)


def inflation(y_true: Any, y_pred: Any, *, threshold: float = 0.5) -> Inflation:
    r"""How much element-wise accuracy flatters.

    Beside it stand the answer "nothing holds", subset accuracy, recall and precision.

    Parameters and errors are those of `subset_accuracy`.

    Examples
    --------
    >>> found = inflation([[1, 0, 0, 0, 0, 1]], [[0.23, 0.34, 0.45, 0.22, 0.10, 0.9]])
    >>> (
    ...     round(found.element_wise_accuracy, 4),
    ...     round(found.all_negative_accuracy, 4),
    ...     found.recall,
    ...     found.subset_accuracy,
    ... )
    (0.8333, 0.6667, 0.5, 0.0)
    >>> print(found.meaning.replace(". ", ".\n"))
    83.3% of the single answers are right; predicting nothing at all gets 66.7%.
    50.0% of what holds was found, and 0.0% of the images are right in full.
    """
    truth, predicted = _both("inflation", y_true, y_pred, threshold)
    accuracy, silent = _mean(truth == predicted), _mean(~truth)
    subset = _mean((truth == predicted).all(axis=1))
    n_right = int((truth & predicted).sum())
    recall, precision = _ratio(n_right, int(truth.sum())), _ratio(n_right, int(predicted.sum()))
    gain = (accuracy - silent) / (1 - silent) if silent < 1 else float("nan")
    meaning = (
        f"{accuracy:.1%} of the single answers are right; predicting nothing at all gets"
        f" {silent:.1%}. {recall:.1%} of what holds was found, and {subset:.1%} of the images are"
        " right in full."
    )
    return Inflation(accuracy, silent, gain, subset, recall, precision, meaning)


def _both(where: str, y_true: Any, y_pred: Any, threshold: float) -> tuple[Booleans, Booleans]:
    problems = Problems(where)
    truth = _as_matrix(y_true, "y_true", problems)
    values = np.asarray(y_pred)
    _same_shape(truth, values, "y_pred", problems)
    if values.dtype.kind == "f":
        bad = int(np.count_nonzero(~((values >= 0) & (values <= 1))))
        if bad:
            problems.add(
                "y_pred must lie in [0, 1]",
                f"{bad} values that do not",
                "Pass logits through a sigmoid; leave out images without a prediction",
                RangeError,
            )
        problems.within("threshold", threshold, "[0, 1]", "Leave it at 0.5")
        problems.raise_any()
        return truth, values > threshold
    predicted = _as_matrix(y_pred, "y_pred", problems)
    problems.raise_any()
    return truth, predicted


def _as_matrix(labels: Any, name: str, problems: Problems) -> Booleans:
    array = array_of(unmasked(labels, name, problems))
    if array.ndim != 2:
        return problems.instead(
            np.zeros((0, 0), np.bool_),
            f"{name} must have shape (n_images, n_labels)",
            f"shape {array.shape}",
            "Pass one row per image and one column per label",
            ShapeError,
        )
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        shown = ", ".join(map(str, np.unique(array.astype(np.str_))[:6].tolist()))
        return problems.instead(
            np.zeros(array.shape, np.bool_),
            f"{name} must hold 0 and 1 only",
            f"the values {shown}",
            "Leave out images without labels",
            LabelError,
        )
    return array.astype(np.bool_)


def _same_shape(truth: Booleans, values: NDArray[Any], name: str, problems: Problems) -> None:
    if truth.shape != values.shape and not problems:
        problems.add(
            f"y_true and {name} must have the same shape",
            f"{truth.shape} and {values.shape}",
            "Pass one number per image and label",
            ShapeError,
        )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")
