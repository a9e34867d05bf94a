"""A linear and a nearest-neighbours classifier on codes, their one option chosen by
cross-validation inside train.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LINEAR, NEIGHBOURS = "linear_probe", "neighbours_probe"
PROBES = (LINEAR, NEIGHBOURS)

_STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
_COUNTS = (1, 3, 5, 10, 20)
_FOLDS = 3
_MOST_CHOSEN_ON, _MOST_FITTED_ON = 3000, 20_000
_STEPS = 300


@dataclass(frozen=True)
class Probed:
    """What a probe says of the test codes (places in the classes), and the option that
    cross-validation chose.
    """

    said: NDArray[np.int64]
    option: float


def run_probe(
    kind: str,
    codes: NDArray[Any],
    classes: NDArray[np.int64],
    test_codes: NDArray[Any],
    *,
    seed: int,
) -> Probed:
    """Standardise the codes by the training ones, choose the option on at most 3,000 of them, fit
    on at most 20,000.

    ``linear_probe`` is logistic regression, its option the inverse strength C of the ridge penalty;
    ``neighbours_probe`` the vote of the k nearest codes, its option k. Of equal ones the stronger C
    and the smaller k.
    """
    centre, spread = codes.mean(0), codes.std(0)
    spread = np.where(spread > 0, spread, 1)
    known, asked = ((array - centre) / spread for array in (codes, test_codes))
    chosen_on, fitted_on = (
        _some(classes, most, seed) for most in (_MOST_CHOSEN_ON, _MOST_FITTED_ON)
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # that lbfgs stopped at its last step, or that a class is too small for the folds
        option = _choose(kind, known[chosen_on], classes[chosen_on], seed)
        model = _model(kind, option, len(fitted_on)).fit(known[fitted_on], classes[fitted_on])
    return Probed(np.asarray(model.predict(asked), np.int64), option)


def _choose(kind: str, codes: NDArray[Any], classes: NDArray[np.int64], seed: int) -> float:
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    options = _STRENGTHS if kind == LINEAR else tuple(float(k) for k in _COUNTS)
    smallest = int(np.bincount(classes)[np.unique(classes)].min())
    if smallest < 2:  # a class of one image is in no fold's training and test at once
        return options[2] if kind == LINEAR else options[0]
    folds = StratifiedKFold(min(_FOLDS, smallest), shuffle=True, random_state=seed)
    n_known = len(codes) - -(-len(codes) // folds.n_splits)
    means = [
        float(cross_val_score(_model(kind, one, n_known), codes, classes, cv=folds).mean())
        for one in options
    ]
    return options[int(np.argmax(means))]


def _model(kind: str, option: float, n_known: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    if kind == LINEAR:
        return LogisticRegression(C=option, max_iter=_STEPS)
    return KNeighborsClassifier(min(int(option), n_known), algorithm="brute")


def _some(classes: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """At most `most` rows, of every class its share."""
    if len(classes) <= most:
        return np.arange(len(classes))
    rng = np.random.default_rng([seed, len(classes), most])
    rank = np.empty(len(classes))
    for one in np.unique(classes):
        rows = rng.permutation(np.flatnonzero(classes == one))
        rank[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.sort(np.argsort(rank, kind="stable")[:most])
