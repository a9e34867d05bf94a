"""What Keras computes as 'accuracy', in every version, without Keras.

``metrics=["accuracy"]`` is not one metric. Keras looks at the shapes of labels and predictions (up
to 2.3 also at the loss) and picks one of three rules; `accuracy` says which, and computes it. The
functions follow Keras where a user would not expect it: soft labels never match, NaN counts as 0
and an empty set has accuracy 0.0.

Keras adds up in float32 over batches; these functions do not, so a count agrees exactly and a
weighted mean to 1e-6. Sample weights reach only what stands in ``weighted_metrics=``: leave them
out to get the number of ``metrics=``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import RangeError, ShapeError
from residua.metrics._keras_mean import (
    KERAS_3,
    LABELS_TAKE_PREDICTION_DTYPE,
    SHAPES_DECIDE,
    THRESHOLD_UNCHECKED,
    Version,
    as_tensor,
    mean_of_hits,
    parse_version,
    same_rank,
)

_HitsOf = Callable[[str, NDArray[Any], NDArray[Any], Version], NDArray[np.bool_]]
Rule = Literal["BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy"]


@dataclass(frozen=True)
class KerasAccuracy:
    """The rule that 'accuracy' became, its threshold, its value, and what it compared.

    The threshold is None where the rule compares places.
    """

    rule: Rule
    threshold: float | None
    value: float
    meaning: str


def accuracy(
    y_true: Any,
    y_pred: Any,
    *,
    version: str = "3",
    loss: Any = None,
    sample_weight: Any = None,
    mask: Any = None,
) -> KerasAccuracy:
    """The rule that the string 'accuracy' becomes for these arrays, and the number Keras prints.

    Parameters
    ----------
    y_true : array, (n, ...)
        Labels, or images, as handed to ``fit`` or ``evaluate``.
    y_pred : array, (n, ...)
        Outputs of the model.
    version : str
        ``"X.Y"`` from 1.0 on, or ``"3"``: the newest. From 2.4 on shapes alone decide.
    loss : str or callable, optional
        Matters up to Keras 2.3: there binary cross-entropy made the rule binary, and only the
        sparse categorical cross-entropy made it sparse. Left out: any other loss.
    sample_weight : array, optional
        Counts only in ``weighted_metrics=``.
    mask : array, optional
        The mask that came with the predictions; Keras 3.0 to 3.11 ignores it unless there are
        sample weights.

    Returns
    -------
    KerasAccuracy

    Raises
    ------
    ShapeError, RangeError
        Where Keras would fail: shapes that cannot be compared, things that are no numbers, an
        unknown version.

    Examples
    --------
    >>> labels, outputs = [[1, 0, 0, 0, 0, 1]], [[0.23, 0.34, 0.45, 0.22, 0.10, 0.9]]
    >>> found = accuracy(labels, outputs)
    >>> found.rule, found.threshold, found.value
    ('CategoricalAccuracy', None, 0.0)
    >>> accuracy(labels, outputs, version="2.3", loss="binary_crossentropy").rule
    'BinaryAccuracy'
    """
    release = parse_version("keras.accuracy", version)
    truth, predicted = _tensors("keras.accuracy", y_true, y_pred)
    rule = _rule(truth.shape, predicted.shape, release, loss)
    hits = _HITS[rule]("keras.accuracy", truth, predicted, release)
    return KerasAccuracy(
        rule,
        0.5 if rule == "BinaryAccuracy" else None,
        mean_of_hits("keras.accuracy", hits, sample_weight, mask, release),
        _meaning(rule, predicted, release),
    )


def binary_accuracy(
    y_true: Any,
    y_pred: Any,
    *,
    threshold: float = 0.5,
    version: str = "3",
    sample_weight: Any = None,
    mask: Any = None,
) -> float:
    """Share of all single values where the label equals 1 if ``y_pred > threshold`` else 0.

    Up to Keras 2.3 and at 0.5, predictions are rounded instead, halves to even: 0.5 is 0, while 1.7
    and -0.7 match neither label. Parameters and errors are those of `accuracy`; 3.0 to 3.4 refuse a
    threshold outside (0, 1).

    Examples
    --------
    >>> binary_accuracy([[1], [1], [0], [0]], [[0.98], [0.5], [0.1], [0.6]])
    0.5
    """
    where = "keras.binary_accuracy"
    if KERAS_3 <= parse_version(where, version) < THRESHOLD_UNCHECKED and not 0 < threshold < 1:
        raise RangeError(
            f"{where}: Keras 3.0 to 3.4 takes a threshold in (0, 1) only. Got {threshold}. Pass a"
            " newer version."
        )
    return _mean(
        where,
        partial(_binary_hits, threshold=threshold),
        (y_true, y_pred),
        version,
        (sample_weight, mask),
    )


def categorical_accuracy(
    y_true: Any, y_pred: Any, *, version: str = "3", sample_weight: Any = None, mask: Any = None
) -> float:
    """Share of the rows (last axis) whose largest label and largest prediction share a place.

    The first of equal values wins. Parameters and errors are those of `accuracy`.

    Examples
    --------
    >>> categorical_accuracy([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    0.5
    """
    return _mean(
        "keras.categorical_accuracy",
        _categorical_hits,
        (y_true, y_pred),
        version,
        (sample_weight, mask),
    )


def sparse_categorical_accuracy(
    y_true: Any, y_pred: Any, *, version: str = "3", sample_weight: Any = None, mask: Any = None
) -> float:
    """Share of the rows (last axis) whose largest prediction stands where the integer label says.

    The same number as `categorical_accuracy` of one-hot labels: how labels are written improves
    nothing. From 3.4 on labels take the type of the predictions before they are compared, so that
    in bfloat16 class 1000 equals class 1001. Parameters and errors are those of `accuracy`.

    Examples
    --------
    >>> sparse_categorical_accuracy([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]])
    0.5
    """
    return _mean(
        "keras.sparse_categorical_accuracy",
        _sparse_hits,
        (y_true, y_pred),
        version,
        (sample_weight, mask),
    )


def top_k_categorical_accuracy(
    y_true: Any,
    y_pred: Any,
    k: int = 5,
    *,
    version: str = "3",
    sample_weight: Any = None,
    mask: Any = None,
) -> float:
    """Share of the rows with fewer than k predictions above that of the largest label.

    All ties at the boundary count: a model that gives every class the same has a top-1 accuracy of
    1. Parameters and errors are those of `accuracy`.

    Examples
    --------
    >>> top_k_categorical_accuracy([[0, 0, 1]], [[0.3, 0.4, 0.3]], k=2)
    1.0
    """
    return _mean(
        "keras.top_k_categorical_accuracy",
        partial(_top_k_hits, k=k),
        (y_true, y_pred),
        version,
        (sample_weight, mask),
    )


def sparse_top_k_categorical_accuracy(
    y_true: Any,
    y_pred: Any,
    k: int = 5,
    *,
    version: str = "3",
    sample_weight: Any = None,
    mask: Any = None,
) -> float:
    """Share of the rows with fewer than k predictions above that of the labelled class.

    Ties are those of `top_k_categorical_accuracy`; parameters and errors those of `accuracy`.

    Examples
    --------
    >>> sparse_top_k_categorical_accuracy([2, 1], [[0.5, 0.4, 0.1], [0.05, 0.95, 0]], k=2)
    0.5
    """
    return _mean(
        "keras.sparse_top_k_categorical_accuracy",
        partial(_sparse_top_k_hits, k=k),
        (y_true, y_pred),
        version,
        (sample_weight, mask),
    )


def _mean(
    where: str, hits_of: _HitsOf, both: tuple[Any, Any], version: str, weights: tuple[Any, Any]
) -> float:
    """The mean of what `hits_of` says of labels and predictions, by sample weights and a mask."""
    release = parse_version(where, version)
    hits = hits_of(where, *_tensors(where, *both), release)
    return mean_of_hits(where, hits, *weights, release)


def _tensors(where: str, y_true: Any, y_pred: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    problems = Problems(where)
    truth, predicted = as_tensor(y_true, "y_true", problems), as_tensor(y_pred, "y_pred", problems)
    problems.raise_any()
    return truth, predicted


def _rule(true_shape: tuple[int, ...], shape: tuple[int, ...], release: Version, loss: Any) -> Rule:
    loss_name = (
        str(loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__))
        .replace("_", "")
        .lower()
    )
    if release < SHAPES_DECIDE:
        if shape[-1] == 1 or loss_name in ("binarycrossentropy", "bce"):
            return "BinaryAccuracy"
        return (
            "SparseCategoricalAccuracy"
            if loss_name == "sparsecategoricalcrossentropy"
            else "CategoricalAccuracy"
        )
    if shape[-1] == 1:
        return "BinaryAccuracy"
    sparse = len(true_shape) < len(shape) or true_shape[-1] == 1
    return "SparseCategoricalAccuracy" if sparse else "CategoricalAccuracy"


def _binary_hits(
    where: str,
    truth: NDArray[Any],
    predicted: NDArray[Any],
    release: Version,
    threshold: float = 0.5,
) -> NDArray[np.bool_]:
    truth, predicted = same_rank(truth, predicted)
    if release < SHAPES_DECIDE and threshold == 0.5:
        return _equal(where, truth, np.round(predicted))
    # Keras holds the threshold as float32 and compares in the type of the predictions.
    cut = np.asarray(threshold, np.float32)
    return _equal(
        where,
        truth,
        predicted > (cut.astype(predicted.dtype) if predicted.dtype.kind in "fV" else cut),
    )


def _categorical_hits(
    where: str, truth: NDArray[Any], predicted: NDArray[Any], release: Version
) -> NDArray[np.bool_]:
    place, found = _argmax(truth), _argmax(predicted)
    if release >= LABELS_TAKE_PREDICTION_DTYPE:
        place, found = place.astype(predicted.dtype), found.astype(predicted.dtype)
    return _equal(where, place, found)


def _sparse_hits(
    where: str, truth: NDArray[Any], predicted: NDArray[Any], release: Version
) -> NDArray[np.bool_]:
    if release >= LABELS_TAKE_PREDICTION_DTYPE:
        truth = truth.astype(predicted.dtype)
    if truth.ndim == predicted.ndim and truth.shape[-1] == 1:
        truth = truth[..., 0]
    return _equal(where, truth, _argmax(predicted).astype(truth.dtype))


_HITS: dict[Rule, _HitsOf] = {
    "BinaryAccuracy": _binary_hits,
    "SparseCategoricalAccuracy": _sparse_hits,
    "CategoricalAccuracy": _categorical_hits,
}


def _top_k_hits(
    where: str, truth: NDArray[Any], predicted: NDArray[Any], release: Version, k: int
) -> NDArray[np.bool_]:
    if release >= LABELS_TAKE_PREDICTION_DTYPE:
        truth = truth.astype(predicted.dtype)
    return _sparse_top_k_hits(where, _argmax(truth), predicted, release, k)


def _sparse_top_k_hits(
    where: str, truth: NDArray[Any], predicted: NDArray[Any], release: Version, k: int
) -> NDArray[np.bool_]:
    place = truth.astype(np.int64)
    n_classes = predicted.shape[-1]
    if place.size * n_classes != predicted.size:
        _refuse_shapes(where, place.shape, predicted.shape)
    place = place.reshape(predicted.shape[:-1])
    in_range = (place >= 0) & (place < n_classes)
    of_label = np.take_along_axis(predicted, np.where(in_range, place, 0)[..., np.newaxis], axis=-1)
    hits: NDArray[np.bool_] = ((predicted > of_label).sum(axis=-1) < k) & in_range
    return hits


def _argmax(values: NDArray[Any]) -> NDArray[Any]:
    """Index of the first largest value of the last axis.

    An empty axis, of which Keras has no answer, gives nothing.
    """
    if values.shape[-1] == 0:
        return np.zeros((*values.shape[:-1], 0), np.int64)
    wide = values.astype(np.float32) if values.dtype.kind == "V" else values
    return np.asarray(wide.argmax(axis=-1))


def _equal(where: str, truth: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.bool_]:
    """Elementwise equality under Keras' broadcasting."""
    for a, b in zip(truth.shape[::-1], predicted.shape[::-1], strict=False):
        if a != b and 1 not in (a, b):
            _refuse_shapes(where, truth.shape, predicted.shape)
    return np.asarray(truth == predicted)


def _refuse_shapes(where: str, true_shape: tuple[int, ...], shape: tuple[int, ...]) -> None:
    raise ShapeError(
        f"{where}: labels and predictions must be comparable value by value. Got shapes"
        f" {true_shape} and {shape} (after argmax, where the rule takes one). Pass one label per"
        " row."
    )


def _meaning(rule: Rule, predicted: NDArray[Any], release: Version) -> str:
    last = predicted.shape[-1]
    if rule == "BinaryAccuracy":
        cut = (
            "y_pred rounded, halves to even,"
            if release < SHAPES_DECIDE
            else "1 where y_pred > 0.5, else 0,"
        )
        return (
            f"Each of {predicted.size} values: does y_true equal {cut} exactly? A y_true between 0"
            " and 1 never does."
        )
    if predicted.ndim == 1:
        return (
            f"One question for the whole batch: is the largest of its {last} predictions that of"
            " the largest of its labels?"
        )
    n_rows = predicted.size // last if last else 0
    if rule == "SparseCategoricalAccuracy":
        return (
            f"Each of {n_rows} rows along the last axis: is the largest of {last} predictions the"
            " one that the label numbers?"
        )
    return (
        f"Each of {n_rows} rows along the last axis: do the largest of {last} predictions and of"
        f" {last} labels share a place?"
    )
