"""Scores whose column says that higher means more normal."""

from __future__ import annotations

from residua._labels import what_grows
from residua.findings.kind import Estimate, Finding, FindingKind


def find_reversed_scores(column: str | None, roc_auc: Estimate | None = None) -> Finding | None:
    """Say that a column of scores is called what grows with normal images; None for another name.

    Warning where labels show that they rank anomalies higher all the same: then they were negated
    before. Error else.

    Parameters
    ----------
    column : str, optional
        The header or name under which the scores stood.
    roc_auc : Estimate, optional
        What labels say of them.

    Examples
    --------
    >>> find_reversed_scores("decision_function").severity
    'error'
    >>> find_reversed_scores("score") is None
    True
    """
    if what_grows(column) != "normal":
        return None
    is_negated = roc_auc is not None and roc_auc.low is not None and roc_auc.low > 0.5
    shown = (
        "The labels show the opposite, so the scores seem to be negated already."
        if is_negated
        else "Here higher must mean anomalous."
    )
    return Finding(
        code=KIND.code,
        severity="warning" if is_negated else "error",
        measured={"column": column, "roc_auc": None if roc_auc is None else roc_auc.value},
        meaning=(
            f"These scores are called {column}. Scores of that name are usually higher on"
            f" normal images, so they seem reversed. {shown}"
        ),
        what_to_do=(
            "Look at the images with the highest scores. If they are normal, negate the scores (of"
            " a probability take 1 - p). If they are the anomalies, call the column score."
        ),
    )


KIND = FindingKind(
    "reversed-scores",
    "Scores whose name suggests the opposite direction",
    find_reversed_scores,
    lambda facts: find_reversed_scores(facts.score_column, facts.metrics.get("roc_auc")),
    needs=("score_column", "metrics"),
    jobs=("detect",),
)
