"""A score that follows how busy an image is, whatever is in it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from residua.findings.kind import Finding, FindingKind, JudgedFacts
from residua.metrics.groups import as_groups

_LIMIT = 0.8


def find_tracks_complexity(
    scores: NDArray[Any],
    complexity: NDArray[Any],
    *,
    groups: Any = None,
    confidence: float = 0.95,
) -> Finding | None:
    """Correlate the ranks of scores and of complexity over normal images; None unless that is above
    .8 with confidence.

    Parameters
    ----------
    scores : float array, (n,)
    complexity : float array, (n,)
        Mean step between neighbouring pixels, for instance.
    groups : array, (n,), optional
        What was sampled together: an interval among the effective number of images.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> busy = rng.random(200)
    >>> find_tracks_complexity(busy + 0.05 * rng.normal(size=200), busy).severity
    'warning'
    >>> find_tracks_complexity(rng.random(200), busy) is None
    True
    """
    if len(scores) < 20 or np.ptp(scores) == 0 or np.ptp(complexity) == 0:
        return None
    from scipy.stats import spearmanr  # most of a second to load, and seldom asked

    correlation = float(spearmanr(scores, complexity).statistic)
    known = as_groups(groups, len(scores))
    n = len(scores) if known is None else len(scores) / known.effect_on_ranks(scores)
    # Fisher's transform; 1.06 is its variance's factor for ranks.
    low = math.tanh(
        math.atanh(max(-0.999999, min(correlation, 0.999999)))
        - float(ndtri(confidence)) * math.sqrt(1.06 / max(n - 3, 1))
    )
    if low <= _LIMIT:
        return None
    return Finding(
        code=KIND.code,
        severity="warning",
        measured={"rank_correlation": correlation, "low": low, "n_images": len(scores)},
        meaning=(
            "Among normal images the score follows how busy an image is (rank correlation"
            f" {correlation:.2g}). It ranks texture, so smooth anomalies are missed."
        ),
        what_to_do=(
            "Look at the normal images with high scores. Try another recipe (`residua recipes`"
            " lists them), or a score that allows for texture."
        ),
    )


def _ask(facts: JudgedFacts) -> Finding | None:
    measured, normal = facts.statistics, facts.normal_rows
    complexity = measured["sharpness"] * np.maximum(measured["contrast"], 1e-3)
    return find_tracks_complexity(
        facts.scores[normal], complexity[normal], groups=facts.groups_of(normal)
    )


KIND = FindingKind(
    "tracks-complexity",
    "Scores that follow how busy an image is",
    find_tracks_complexity,
    _ask,
    needs=("statistics", "scores", "is_anomalous"),
    jobs=("detect",),
    noun="whether scores follow complexity",
)
