"""How good predicted probabilities are.

Log loss, Brier score, calibration, top-k, and ranking one class against others.

`y` holds classes as integers or strings, (n_images,). `probabilities` is (n_images, n_classes) with
rows that sum to 1, or one column, P(second class). Columns are in the order of `classes`; left out,
that is 0, 1, 2, ... for integer labels below the number of columns, else the sorted labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua._check import check_within
from residua.errors import RangeError
from residua.metrics._classes import with_probabilities
from residua.metrics.ranking import roc_auc

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reliability:
    """Bins of confidence, each (n_bins,).

    Images with low < confidence <= high, their mean confidence and accuracy.

    The first bin holds confidence 0 as well. Means of an empty bin are ``nan``.
    """

    low: Floats
    high: Floats
    n: NDArray[np.int64]
    confidence: Floats
    accuracy: Floats


def top_k_accuracy(y: Any, probabilities: Any, k: int, classes: Any = None) -> float:
    """Share of the images whose class is among the k most probable, in [0, 1] (higher is better).

    Of equal probabilities the earlier class comes first, so that k = 1 is the accuracy, and a model
    that gives every class the same gets no more than chance. Keras counts every tie at the boundary
    as a hit instead: `residua.metrics.keras`.

    Parameters
    ----------
    y : array of int or str, (n_images,)
        True classes.
    probabilities : float array, (n_images, n_classes) or (n_images,)
        Rows that sum to 1, or P(second class).
    k : int, at least 1
        From n_classes on, the result is 1.
    classes : sequence, optional
        The class of each column.

    Returns
    -------
    float
        ``nan`` where there is no image.

    Raises
    ------
    LabelError, ShapeError, RangeError
        If lengths differ, labels are missing or not among the classes, or probabilities are none.

    Examples
    --------
    >>> top_k_accuracy([0, 1], [[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]], k=2)
    1.0
    """
    check_within("top_k_accuracy", "k", k, "[1, inf)", "Pass how many guesses count")
    _, true, p = with_probabilities("top_k_accuracy", y, probabilities, classes)
    return _mean(among_most_probable(true, p, k))


def among_most_probable(true: NDArray[np.int64], p: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Whether the true class is one of the k most probable, (n_images,); see `top_k_accuracy`."""
    of_true = np.take_along_axis(p, true[:, np.newaxis], axis=1)
    earlier = np.arange(p.shape[1]) < true[:, np.newaxis]
    return np.asarray(((p > of_true) | ((p == of_true) & earlier)).sum(axis=1) < k)


def log_loss(y: Any, probabilities: Any, *, classes: Any = None) -> float:
    """Mean of -log P(true class), in nats.

    Lower is better: 0 is certain and right, log(n_classes) is knowing nothing.

    It measures the probabilities and does not "determine the accuracy": two models of the same
    accuracy may differ in it without end. Probabilities are cut off at the rounding step of their
    type (2.2e-16 for float64), as in scikit-learn, so that one certain mistake costs about 36 and
    not infinity.

    Parameters and errors are those of `top_k_accuracy`.

    Examples
    --------
    >>> round(log_loss([1, 0], [0.9, 0.2]), 4)
    0.1643
    """
    _, true, p = with_probabilities("log_loss", y, probabilities, classes)
    step = float(np.finfo(p.dtype).eps)
    of_true = np.take_along_axis(p, true[:, np.newaxis], axis=1)[:, 0].astype(np.float64)
    return _mean(-np.log(np.clip(of_true, step, 1 - step)))


def brier_score(y: Any, probabilities: Any, *, classes: Any = None) -> float:
    """Mean squared distance between the probabilities and the truth as 0 and 1 (lower is better).

    With two classes (P - truth)^2 of one class, in [0, 1], the usual form; with more, the sum over
    classes, in [0, 2]. This is scikit-learn's convention. Parameters and errors are those of
    `top_k_accuracy`.

    Examples
    --------
    >>> (
    ...     round(brier_score([1, 0], [0.9, 0.2]), 4),
    ...     round(brier_score([0, 2], [[0.8, 0.1, 0.1], [0.2, 0.2, 0.6]]), 4),
    ... )
    (0.025, 0.15)
    """
    _, true, p = with_probabilities("brier_score", y, probabilities, classes)
    distance = p.astype(np.float64)
    distance[np.arange(len(true)), true] -= 1
    return _mean((distance**2).sum(axis=1)) / (2 if p.shape[1] == 2 else 1)


def reliability_table(
    y: Any, probabilities: Any, *, bins: int = 15, classes: Any = None
) -> Reliability:
    """Confidence beside accuracy in bins of equal width.

    A calibrated model has both alike in every bin.

    Confidence is the largest probability of an image, whatever its class; with two classes it is at
    least 0.5.

    Parameters
    ----------
    y, probabilities, classes
        As for `top_k_accuracy`.
    bins : int, at least 1
        How many bins [0, 1] is cut into.

    Returns
    -------
    Reliability

    Examples
    --------
    >>> table = reliability_table([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], bins=5)
    >>> table.n, table.accuracy[3:].round(2)
    (array([0, 0, 0, 2, 1]), array([0.5, 1. ]))
    """
    check_within("reliability_table", "bins", bins, "[1, inf)", "Leave it at 15")
    _, true, p = with_probabilities("reliability_table", y, probabilities, classes)
    confidence = p.max(axis=1).astype(np.float64)
    hit = p.argmax(axis=1) == true
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    n = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(place, weights=confidence, minlength=bins) / n
        accuracy = np.bincount(place, weights=hit, minlength=bins) / n
    return Reliability(edges[:-1], edges[1:], n, mean_confidence, accuracy)


def expected_calibration_error(
    y: Any, probabilities: Any, *, bins: int = 15, classes: Any = None
) -> float:
    """Mean gap between confidence and accuracy over the bins of `reliability_table`.

    In [0, 1], lower is better.

    Bins count by how many images they hold. The estimate depends on `bins`, and few images make it
    too large: also a perfectly calibrated model does not reach 0. Parameters and errors are those
    of `reliability_table`.

    Notes
    -----
    Naeini, Cooper, Hauskrecht, *Obtaining well calibrated probabilities using Bayesian binning*
    (2015).

    Examples
    --------
    >>> round(
    ...     expected_calibration_error([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], bins=5), 4
    ... )
    0.2
    """
    table = reliability_table(y, probabilities, bins=bins, classes=classes)
    filled = table.n > 0
    if not filled.any():
        return float("nan")
    return float(
        np.average(np.abs(table.confidence - table.accuracy)[filled], weights=table.n[filled])
    )


def roc_auc_per_class(y: Any, probabilities: Any, *, classes: Any = None) -> Floats:
    """ROC AUC of each class against all others, in [0, 1] (higher is better, 0.5 is chance).

    ``nan`` for a class that does not occur, and for the only one that does. Parameters and errors
    are those of `top_k_accuracy`.

    Returns
    -------
    float64 array, (n_classes,)

    Examples
    --------
    >>> roc_auc_per_class([0, 1, 2], [[0.6, 0.2, 0.2], [0.3, 0.4, 0.3], [0.4, 0.5, 0.1]])
    array([1. , 0.5, 0. ])
    """
    _, true, p = with_probabilities("roc_auc_per_class", y, probabilities, classes)
    return np.array([roc_auc(true == index, p[:, index]) for index in range(p.shape[1])])


def multiclass_roc_auc(
    y: Any, probabilities: Any, *, scheme: Literal["ovr", "ovo"] = "ovr", classes: Any = None
) -> float:
    """Macro mean of ROC AUC over the classes, in [0, 1] (higher is better, 0.5 is chance).

    Parameters
    ----------
    y, probabilities, classes
        As for `top_k_accuracy`.
    scheme : 'ovr' or 'ovo'
        ``ovr``: each class against all others; moves with how frequent the classes are. ``ovo``:
        each pair of classes among the images of those two, both ways; does not.

    Returns
    -------
    float
        ``nan`` where a class does not occur: an average without it would be of another question.

    Notes
    -----
    ``ovo`` is Hand and Till, *A simple generalisation of the area under the ROC curve* (2001).

    Examples
    --------
    >>> p = [[0.6, 0.2, 0.2], [0.3, 0.4, 0.3], [0.4, 0.5, 0.1], [0.1, 0.2, 0.7]]
    >>> multiclass_roc_auc([0, 1, 1, 2], p), multiclass_roc_auc([0, 1, 1, 2], p, scheme="ovo")
    (1.0, 1.0)
    """
    if scheme not in ("ovr", "ovo"):
        raise RangeError(
            f"multiclass_roc_auc: scheme must be 'ovr' or 'ovo'. Got {scheme!r}. Pass one of these."
        )
    if scheme == "ovr":
        return float(np.mean(roc_auc_per_class(y, probabilities, classes=classes)))
    _, true, p = with_probabilities("multiclass_roc_auc", y, probabilities, classes)
    pairs = combinations(range(p.shape[1]), 2)
    return float(np.mean([_one_against_one(true, p, a, b) for a, b in pairs]))


def _one_against_one(true: NDArray[np.int64], p: NDArray[Any], a: int, b: int) -> float:
    either = (true == a) | (true == b)
    is_a = true[either] == a
    return (roc_auc(is_a, p[either, a]) + roc_auc(~is_a, p[either, b])) / 2


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean(dtype=np.float64)) if len(values) else float("nan")
