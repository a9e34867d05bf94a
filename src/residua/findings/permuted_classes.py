"""Classes that another order would fit far better: the columns, or the names, were mixed up on the
way in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind

_CHANCE = 3e-4
_MOST_CLASSES = 1000  # a matching takes the third power
# What a class gains on average under the other order, by how many classes change places: nearly
# all, some, a pair. A pair that a model mixes up gains little from being swapped, since it is taken
# for the other about half the time.
_GAIN_OF_MOST, _GAIN_OF_SOME, _GAIN_OF_A_PAIR = 0.15, 0.3, 0.4


def find_permuted_classes(
    matrix: NDArray[Any],
    classes: Sequence[str],
    *,
    true: NDArray[Any] | None = None,
    probabilities: NDArray[Any] | None = None,
) -> Finding | None:
    """Say that the classes look permuted; None where the order that was taken is not worse than
    chance allows, or of over 1,000.

    Two things are matched with the true classes by linear assignment: how often each class is
    answered, and how high its column ranks the images of each class. Neither rises when one class
    is answered more often than it should be. Another order counts where it gains at least 0.15 a
    class, and more than the best of all orders gains by chance once in 3,000.

    Parameters
    ----------
    matrix : int array, (n_classes, n_classes)
        Rows true, columns predicted.
    classes : sequence of str
        In the order of rows and columns.
    true : int array, (n_images,), optional
        Index of the true class.
    probabilities : float array, (n_images, n_classes), optional

    Examples
    --------
    >>> told = find_permuted_classes(np.array([[2, 38], [57, 3]]), ["bad", "good"])
    >>> (
    ...     told.severity,
    ...     told.measured["likely_order"],
    ...     told.measured["accuracy"],
    ...     told.measured["accuracy_in_that_order"],
    ... )
    ('error', ['good', 'bad'], 0.05, 0.95)
    >>> find_permuted_classes(np.array([[30, 10], [20, 40]]), ["bad", "good"]) is None
    True
    """
    support = matrix.sum(axis=1)
    if not 2 <= len(classes) <= _MOST_CLASSES or np.count_nonzero(support) < 2:
        return None
    order = _better_order(matrix / np.maximum(support, 1)[:, np.newaxis], support, None)
    if order is None and probabilities is not None and true is not None:
        order = _better_order(*_ranking(true, probabilities))
    if order is None:
        return None
    n = int(support.sum())
    accuracy = float(np.trace(matrix) / n)
    other = float(matrix[np.arange(len(matrix)), order].sum() / n)
    likely = [classes[row] for row in np.argsort(order).tolist()]
    taken, shown = ", ".join(classes[:12]), ", ".join(likely[:12])
    more = ", ..." if len(classes) > 12 else ""
    return Finding(
        code=KIND.code,
        severity="error",
        measured={
            "classes": list(classes),
            "likely_order": likely,
            "accuracy": accuracy,
            "accuracy_in_that_order": other,
        },
        meaning=(
            f"The classes look permuted. They were taken in the order {taken}{more}. In the"
            f" order {shown}{more} the predictions fit the labels far better than chance allows"
            f" (accuracy {other:.3g} instead of {accuracy:.3g}). Every number of this record"
            " depends on the order of classes."
        ),
        what_to_do=(
            "Look up the order of the classes in the code that trained the model. Pass it:"
            " classes=[...] (--classes A,B,...), or a header that names the columns. Do not trust"
            " the likely order without a check."
        ),
    )


def _better_order(
    fit: NDArray[np.float64], support: NDArray[Any], noise: NDArray[np.float64] | None
) -> NDArray[np.int64] | None:
    """For each class the column that fits it best, together; None where that is no better than the
    given order by far.

    `fit` is the share of answers, or the area under the ROC curve; `noise` is its variance by
    chance (None: that of a share).
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.special import ndtri_exp

    known = np.flatnonzero(support > 0)
    # Without its mean over classes an answer that is given to every image is worth nothing, in no
    # order.
    worth = np.where(support[:, np.newaxis] > 0, fit - fit[known].mean(axis=0), 0.0)
    # Of equal orders the given one: whatever stays where it is counts a little more.
    order = np.asarray(
        linear_sum_assignment(worth + 1e-9 * np.eye(len(worth)), maximize=True)[1], np.int64
    )
    moved = known[order[known] != known]
    if len(moved) == 0:
        return None
    there, here = fit[moved, order[moved]], fit[moved, moved]
    gain = float((worth[moved, order[moved]] - worth[moved, moved]).mean())
    variance = (there + here) / support[moved] if noise is None else 2 * noise[moved]
    deviation = math.sqrt(float(variance.sum())) / len(moved)
    if gain <= _least_gain(order, len(known), deviation):
        return None
    k = len(fit)
    chance = math.log(_CHANCE) - math.lgamma(k + 1) + math.lgamma(max(k - len(moved), 0) + 1)
    if gain > -float(ndtri_exp(chance)) * deviation or (
        noise is None and _logarithm(fit, support, order, moved) < chance
    ):
        return order
    return None


def _logarithm(
    shares: NDArray[np.float64],
    support: NDArray[Any],
    order: NDArray[np.int64],
    moved: NDArray[np.int64],
) -> float:
    """Bound (Chernoff) on the logarithm of the chance of so many answers in that order.

    By chance a class gets an answer as often as all classes get it, and as often as one that is
    drawn among the classes with which it changes places.
    """
    from scipy.special import rel_entr

    answered = support @ shares / support.sum()
    by_chance = np.maximum(answered[order[moved]], 1 / _circles(order)[moved])
    weights = support[moved] / support[moved].sum()
    found, expected = float(weights @ shares[moved, order[moved]]), float(weights @ by_chance)
    if found <= expected:
        return 0.0
    return -float(
        support[moved].sum() * (rel_entr(found, expected) + rel_entr(1 - found, 1 - expected))
    )


def _circles(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Among how many classes each changes places."""
    length, place = np.zeros(len(order), np.int64), order
    for step in range(1, len(order) + 1):
        length = np.where((length == 0) & (place == np.arange(len(order))), step, length)
        place = order[place]
    return length


def _least_gain(order: NDArray[np.int64], n_known: int, deviation: float) -> float:
    moved = order != np.arange(len(order))
    if len(order) > 2 and bool((order[order] == np.arange(len(order))).all()):
        return _GAIN_OF_A_PAIR + 2 * deviation
    return _GAIN_OF_MOST if moved.sum() * 2 > n_known else _GAIN_OF_SOME


def _ranking(
    true: NDArray[Any], probabilities: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.float64]]:
    """Area under the ROC curve of each class (row) against the rest by each column, images of it,
    and the variance by chance.
    """
    from scipy.stats import rankdata  # most of a second to load

    n, k = probabilities.shape
    support = np.bincount(true, minlength=k)
    ranks = rankdata(probabilities, axis=0)
    sums = np.stack([np.bincount(true, column, minlength=k) for column in ranks.T], axis=1)
    inside, outside = (
        np.maximum(support, 1)[:, np.newaxis],
        np.maximum(n - support, 1)[:, np.newaxis],
    )
    areas = (sums - inside * (inside + 1) / 2) / (inside * outside)
    # Columns that sum to 1 move against each other, and so do the ranks of classes.
    return areas, support, ((n + 1) / (12 * inside * outside))[:, 0] * (k / (k - 1)) ** 2


KIND = FindingKind(
    "permuted-classes",
    "Probability columns in another order of classes",
    find_permuted_classes,
    lambda facts: find_permuted_classes(
        facts.confusion, facts.classes, true=facts.true, probabilities=facts.probabilities
    ),
    needs=("confusion", "classes"),
    jobs=("classify",),
)
