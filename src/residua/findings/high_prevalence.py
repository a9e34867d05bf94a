"""Far more anomalous images than normal ones: a hard test set, or labels the wrong way round."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind, Severity

_FEWEST = 20
# Test sets of one-class benchmarks hold up to 84% anomalies a kind (MVTec AD); those of one class
# of ten hold 90%.
_HIGH = 0.85
# Anomalies are of many kinds, so their scores spread wider than those of normal images.
_WIDER = 1.3


def find_high_prevalence(
    scores: NDArray[Any], is_anomalous: NDArray[np.bool_], *, doubt: str | None = None
) -> Finding | None:
    """Say how many images are anomalous where that is more than 85%; None below, or for fewer than
    20 images.

    A note where labels say by name which are normal, or the user did: average precision then begins
    at that share. Error where they were read by convention and the scores don't show the usual
    picture, anomalies spread wider than normal images; error for any majority where -1 of labels -1
    and 1 was named normal, which is scikit-learn's outlier.

    Parameters
    ----------
    scores : float array, (n_images,)
    is_anomalous : bool array, (n_images,)
    doubt : {"assumed", "minus-one-is-normal"}, optional
        Why the two kinds may be exchanged.

    Examples
    --------
    >>> labels = np.arange(100) >= 10
    >>> find_high_prevalence(np.arange(100.0), labels).severity
    'note'
    >>> find_high_prevalence(np.arange(100.0) % 10, labels, doubt="assumed").severity
    'error'
    """
    n, n_anomalous = len(scores), int(is_anomalous.sum())
    share = n_anomalous / max(1, n)
    is_reversed_code = doubt == "minus-one-is-normal"
    if n < _FEWEST or n_anomalous == n or share <= (0.5 if is_reversed_code else _HIGH):
        return None
    of_anomalous, of_normal = _spread(scores[is_anomalous]), _spread(scores[~is_anomalous])
    is_unusual = is_reversed_code or (doubt is not None and of_anomalous < _WIDER * of_normal)
    severity: Severity = "error" if is_unusual else "note"
    counted = f"{share:.0%} of these images ({n_anomalous:,} of {n:,}) are labelled anomalous."
    return Finding(
        code=KIND.code,
        severity=severity,
        measured={
            "prevalence": share,
            "n_anomalous": n_anomalous,
            "n": n,
            "spread": [of_normal, of_anomalous],
            "doubt": doubt,
        },
        meaning=f"{counted} {_meaning(is_unusual, is_reversed_code, share)}",
        what_to_do=_advice(is_unusual, is_reversed_code),
    )


def _meaning(is_unusual: bool, is_reversed_code: bool, share: float) -> str:
    if not is_unusual:
        return f"Random scores have an average precision of {share:.2f} here, not 0.5."
    if is_reversed_code:
        return (
            "The labels are -1 and 1, and -1 was named normal. In scikit-learn -1 is an"
            " outlier and 1 an inlier, so the labels seem reversed."
        )
    return (
        "The normal label is not stated, and such a prevalence is rare. So the labels may be"
        " reversed. If the scores are reversed too, both mistakes cancel in ROC AUC and inflate"
        " average precision."
    )


def _advice(is_unusual: bool, is_reversed_code: bool) -> str:
    if not is_unusual:
        return (
            "Read ROC AUC first, and compare average precision with that share."
            " Where the model works, anomalies are rarer, and its precision is lower."
        )
    if is_reversed_code:
        return (
            "Look at some images of each label. If -1 are the outliers, name 1: --normal 1"
            " (normal='1')."
        )
    return (
        "Look at some images of each label, and at those with the highest scores. Then name"
        " the label of the normal images: --normal LABEL (normal=). Once it is named, this"
        " finding is a note."
    )


def _spread(values: NDArray[Any]) -> float:
    """Distance of the quartiles."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low)


KIND = FindingKind(
    "high-prevalence",
    "More anomalous images than normal ones",
    find_high_prevalence,
    lambda facts: find_high_prevalence(*facts.known, doubt=facts.doubt),
    needs=("scores", "is_anomalous"),
    jobs=("detect",),
)
