"""Test images that seem to be training images: the very same scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind


def find_shared_scores(train_scores: NDArray[Any], new_scores: NDArray[Any]) -> Finding | None:
    """Say that scores of new images occur among those of training images, digit for digit; None
    where too few do.

    A score has some seven digits: where nearly all are distinct, a shared one means a shared image.
    Sets with many ties are left alone, and so are fewer than three shared scores.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> train = rng.random(100)
    >>> find_shared_scores(train, np.concatenate([train[:10], rng.random(90)])).measured["n_shared"]
    10
    """
    distinct = [np.unique(scores) for scores in (train_scores, new_scores)]
    if any(
        len(d) < 0.9 * len(s) for d, s in zip(distinct, (train_scores, new_scores), strict=True)
    ):
        return None
    n_shared = len(np.intersect1d(distinct[0], distinct[1], assume_unique=True))
    share = n_shared / max(1, len(new_scores))
    if n_shared < 3 or share < 0.01:
        return None
    return Finding(
        code=KIND.code,
        severity="error" if share >= 0.05 else "warning",
        measured={"n_shared": n_shared, "share": share},
        meaning=(
            f"{n_shared} of {len(new_scores)} new scores ({100 * share:.3g}%) equal scores of"
            " training images, digit for digit. The model is tested on images that it was"
            " trained on, and looks better than it is."
        ),
        what_to_do=(
            "Remove the shared images from the test set and judge again. `residua check` finds"
            " them."
        ),
    )


KIND = FindingKind(
    "shared-scores",
    "Scores that occur in training and test",
    find_shared_scores,
    lambda facts: find_shared_scores(facts.train_errors, facts.scores),
    needs=("train_errors", "scores"),
    jobs=("detect",),
)
