"""Images labelled anomalous that score as known normal images do, beside images labelled normal
that do not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.drift import groups_of_both
from residua.findings.kind import Estimate, Finding, FindingKind, JudgedFacts
from residua.metrics.intervals import roc_auc_interval

_FEWEST = 20
_ALIKE, _UNLIKE = 0.1, 0.3


def find_reversed_labels(
    known_normal: NDArray[Any],
    scores: NDArray[Any],
    is_anomalous: NDArray[np.bool_],
    *,
    groups: NDArray[Any] | None = None,
    known_groups: Any = None,
) -> Finding | None:
    """Compare scores of known normal images with those of both kinds; None unless only the
    anomalous ones are like them.

    Alike: the chance that one of these scores exceeds a known normal one lies within 0.1 of one
    half. Unlike: beyond 0.3 of it, with 95% confidence. None for fewer than 20 images of any of the
    three.

    Parameters
    ----------
    known_normal : float array, (n,)
        Scores of calibration or training images, all normal.
    scores : float array, (n_images,)
    is_anomalous : bool array, (n_images,)
    groups, known_groups : array, (n_images,) and (n,), optional
        What was sampled together.

    Examples
    --------
    >>> rng, labels = np.random.default_rng(0), np.arange(200) < 100
    >>> scores = rng.normal(size=200) - 3 * ~labels
    >>> find_reversed_labels(rng.normal(size=100), scores, labels).severity
    'error'
    >>> find_reversed_labels(rng.normal(size=100), scores, ~labels) is None
    True
    """
    anomalous, normal = scores[is_anomalous], scores[~is_anomalous]
    if min(map(len, (known_normal, anomalous, normal))) < _FEWEST:
        return None
    of_anomalous, of_normal = (
        _above(
            (known_normal, known_groups),
            (scores[kind], None if groups is None else groups[kind]),
        )
        for kind in (is_anomalous, ~is_anomalous)
    )
    if (
        of_anomalous.value is None
        or abs(of_anomalous.value - 0.5) > _ALIKE
        or not _is_unlike(of_normal)
    ):
        return None
    told = (
        f"{of_anomalous.value:.0%} of the time; one labelled normal does {of_normal.value:.0%} of"
        " the time"
    )
    return Finding(
        code=KIND.code,
        severity="error",
        measured={
            "anomalous_above": of_anomalous.value,
            "normal_above": of_normal.value,
            "n_known": len(known_normal),
        },
        meaning=(
            "An image labelled anomalous scores above a known normal image (calibration or"
            f" training) {told}. So the images labelled anomalous look like the known normal"
            " ones, and the labels seem reversed."
        ),
        what_to_do=(
            "Look at some images of each label. If the labels are reversed, name the normal"
            " one: --normal LABEL (normal=). If they are right, the known normal images are of"
            " another kind: compare the two sets."
        ),
    )


def _above(known: tuple[NDArray[Any], Any], scores: tuple[NDArray[Any], Any]) -> Estimate:
    """Chance that one of `scores` exceeds one of `known`, each with its groups."""
    is_score = np.repeat([False, True], [len(known[0]), len(scores[0])])
    pooled = np.concatenate([known[0], scores[0]]).astype(np.float64)
    return roc_auc_interval(is_score, pooled, groups=groups_of_both(known, scores))


def _is_unlike(above: Estimate) -> bool:
    if above.low is None or above.high is None:
        return above.value in (0.0, 1.0)
    return above.high < 0.5 - _UNLIKE or above.low > 0.5 + _UNLIKE


def _ask(facts: JudgedFacts) -> Finding | None:
    return find_reversed_labels(
        facts.known_normal,
        *facts.known,
        groups=facts.groups_of(facts.labelled),
        known_groups=None if facts.calibration is None else facts.calibration_groups,
    )


KIND = FindingKind(
    "reversed-labels",
    "Labels that seem to be reversed",
    find_reversed_labels,
    _ask,
    needs=("known_normal", "scores", "is_anomalous"),
    jobs=("detect",),
)
