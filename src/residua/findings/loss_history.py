"""Numbers that fall steadily from the first to the last: losses of epochs rather than scores of
images.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from residua.findings.kind import Finding, FindingKind, JudgedFacts

_FEWEST = 8
_LEAST_FALL = 0.95


def find_loss_history(scores: Any) -> Finding | None:
    """Ask whether numbers without names and labels are a history of training; None where they do
    not fall steadily.

    Parameters
    ----------
    scores : float array, (n,)
        In the order they came.

    Returns
    -------
    Finding or None
        An error where nearly every number is below those before it; a warning where they fall
        without exception, as sorted scores do too. Eight scores in random order fall so once in
        5,000 times, more of them far less often.

    Examples
    --------
    >>> losses = 0.3 * np.exp(-np.arange(30) / 5) + 0.02 + 0.002 * np.sin(np.arange(30))
    >>> find_loss_history(losses).severity, find_loss_history(np.sort(losses)[::-1]).severity
    ('error', 'warning')
    >>> find_loss_history(np.random.default_rng(0).random(30)) is None
    True
    """
    values = np.asarray(scores, np.float64).reshape(-1)
    if len(values) < _FEWEST or not np.isfinite(values).all() or values.min() == values.max():
        return None
    ranks = values.argsort(kind="stable").argsort(kind="stable")
    fall = -float(np.corrcoef(ranks, np.arange(len(values)))[0, 1])
    if fall < _LEAST_FALL or values[0] < 1.5 * values[-1] or values.min() < 0:
        return None
    is_sorted = bool((np.diff(values) <= 0).all())
    return Finding(
        code=KIND.code,
        severity="warning" if is_sorted else "error",
        measured={
            "n": len(values),
            "rank_correlation_with_order": -fall,
            "first": float(values[0]),
            "last": float(values[-1]),
        },
        meaning=(
            f"These {len(values)} numbers fall from {values[0]:.4g} to {values[-1]:.4g}"
            f" {'without exception' if is_sorted else 'nearly one after the other'}, as losses"
            f" of epochs do{' and sorted scores' if is_sorted else ''}. A history of training"
            " says nothing about single images."
        ),
        what_to_do=(
            "Pass one score per image. If these are scores, pass the names of the images too"
            " (a column id or path)."
        ),
    )


def _ask(facts: JudgedFacts) -> Finding | None:
    found = map(find_loss_history, facts.nameless_scores)
    return next((finding for finding in found if finding is not None), None)


KIND = FindingKind(
    "loss-history",
    "A loss history given as scores",
    find_loss_history,
    _ask,
    needs=("nameless_scores",),
    jobs=("detect",),
)
