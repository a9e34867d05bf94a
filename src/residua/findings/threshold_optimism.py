"""A threshold that was tuned on the images it is tested on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import PolicyError
from residua.findings.kind import Finding, FindingKind, JudgedFacts


def find_threshold_optimism(
    policy: str,
    scores: NDArray[Any],
    is_anomalous: NDArray[np.bool_],
    *,
    confidence: float = 0.95,
    seed: int = 0,
    groups: Any = None,
) -> Finding:
    """Say how much F1 flatters, because threshold and test share their images (see
    `threshold_optimism`).

    Parameters
    ----------
    policy : str
    scores : float array, (n_images,)
    is_anomalous : bool array, (n_images,)
    groups : array, (n_images,), optional
        What was sampled together; thresholds then come from other groups.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(120) < 20
    >>> find_threshold_optimism("max-f1", rng.normal(size=120) + labels, labels).measured[
    ...     "optimism"
    ... ] > 0
    True
    """
    from residua.thresholds import threshold_optimism

    advice = (
        "Choose the threshold on other images (--calibration-scores), or report the cross-fitted"
        " value."
    )
    same = "The threshold was chosen on the same images that it is tested on."
    try:
        told = threshold_optimism(
            policy, scores, is_anomalous, confidence=confidence, seed=seed, groups=groups
        )
    except (ValueError, PolicyError) as error:
        return Finding(
            code=KIND.code,
            severity="warning",
            measured={"n_images": len(scores)},
            meaning=f"{same} The size of that bias cannot be estimated here: {error}",
            what_to_do=advice,
        )
    words = (
        f"With thresholds from other images it is about {told.honest:.3g}."
        if told.optimism > 0
        else "Here thresholds from other images do no worse, but another sample may differ."
    )
    return Finding(
        code=KIND.code,
        severity="warning",
        measured={
            "metric": told.rate,
            "apparent": told.apparent,
            "cross_fitted": told.honest,
            "optimism": told.optimism,
            "n_images": told.n_images,
        },
        meaning=f"{same} F1 is {told.apparent:.3g}. {words}",
        what_to_do=advice,
    )


def _ask(facts: JudgedFacts) -> Finding:
    scores, flags = facts.known if facts.labelled.any() else (facts.scores, None)
    groups = facts.groups
    if groups is not None and flags is not None:
        groups = groups[facts.labelled]
    return find_threshold_optimism(
        facts.tuned_on_judged,
        scores,
        np.zeros(len(scores), np.bool_) if flags is None else flags,
        confidence=facts.confidence,
        seed=facts.seed,
        groups=groups,
    )


KIND = FindingKind(
    "threshold-optimism",
    "A threshold tested on the images it was tuned on",
    find_threshold_optimism,
    _ask,
    needs=("tuned_on_judged", "scores"),
    jobs=("detect",),
)
