"""Decisions, two values in all, given where scores belong."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind, JudgedFacts

_FEWEST = 10
_DECISIONS = ((0.0, 1.0), (-1.0, 1.0))


def find_hard_scores(
    scores: NDArray[Any], is_anomalous: NDArray[np.bool_] | None = None
) -> Finding | None:
    """Say that scores of two values are decisions; None for fewer than ten images, or more or fewer
    values.

    Error where the values are 0 and 1, or -1 and 1; warning where they are others.

    Parameters
    ----------
    scores : float array, (n_images,)
        Higher = more anomalous.
    is_anomalous : bool array, (n_images,), optional

    Examples
    --------
    >>> told = find_hard_scores(np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1.0]), np.arange(10) >= 5)
    >>> told.severity, told.measured["balanced_accuracy"]
    ('error', 0.9)
    """
    values = np.unique(scores)
    if len(scores) < _FEWEST or len(values) != 2:
        return None
    low, high = map(float, values)
    said = scores == values[1]
    balanced = _balanced_accuracy(said, is_anomalous)
    ranks = (
        "a ROC curve of one point"
        if balanced is None
        else f"a ROC curve of one point, whose area is {balanced:.3f}, the balanced accuracy"
    )
    return Finding(
        code=KIND.code,
        severity="error" if (low, high) in _DECISIONS else "warning",
        measured={
            "values": [low, high],
            "n_high": int(said.sum()),
            "n": len(scores),
            "balanced_accuracy": balanced,
        },
        meaning=(
            f"These scores have two distinct values, {low:g} and {high:g}: they are hard decisions,"
            f" not scores. Decisions have {ranks}. It says nothing about how well the model ranks"
            " images."
        ),
        what_to_do=(
            "Pass the numbers behind the decisions, higher = more anomalous: in scikit-learn"
            " -decision_function(X) instead of predict(X). If there are none, judge the"
            " decisions as classes (--predictions)."
        ),
    )


def find_hard_probabilities(probabilities: NDArray[Any]) -> Finding | None:
    """Say that probabilities which are all 0 or 1 are decisions; None for fewer than ten images, or
    any value between.

    Parameters
    ----------
    probabilities : float array, (n_images, n_classes) or (n_images, n_labels)

    Examples
    --------
    >>> find_hard_probabilities(np.eye(10)).severity
    'error'
    """
    n, k = probabilities.shape
    if n < _FEWEST or not np.isin(probabilities, (0, 1)).all():
        return None
    return Finding(
        code=KIND.code,
        severity="error",
        measured={"values": [0.0, 1.0], "n": n, "n_classes": k},
        meaning=(
            "All probabilities are 0 or 1: they are hard decisions. ROC AUC, average precision,"
            " log loss, Brier score and calibration error then describe a model that is always"
            " sure. They do not describe the model behind the decisions."
        ),
        what_to_do=(
            "Pass the probabilities behind the decisions, or the classes as integers or names."
        ),
    )


def _balanced_accuracy(
    said: NDArray[np.bool_], is_anomalous: NDArray[np.bool_] | None
) -> float | None:
    """Mean of recall and specificity if higher is anomalous; None where a kind is missing."""
    if is_anomalous is None or is_anomalous.all() or not is_anomalous.any():
        return None
    return float((said[is_anomalous].mean() + (~said[~is_anomalous]).mean()) / 2)


def _ask(facts: JudgedFacts) -> Finding | None:
    if facts.job == "detect":
        return None if facts.is_anomalous is None else find_hard_scores(*facts.known)
    given = facts.probabilities if facts.multilabel is None else facts.multilabel[1]
    return None if given is None or given.dtype.kind != "f" else find_hard_probabilities(given)


KIND = FindingKind(
    "hard-scores",
    "Decisions given as scores",
    find_hard_scores,
    _ask,
    jobs=("detect", "classify"),
)
