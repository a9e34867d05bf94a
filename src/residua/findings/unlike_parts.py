"""Parts of a source that come from different distributions: a threshold chosen on one does not hold
on another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind

_CLEAR, _SEVERE = 0.2, 0.5


def find_unlike_parts(
    features: Mapping[str, Mapping[str, NDArray[Any]]],
    *,
    groups: Mapping[str, Any] | None = None,
    confidence: float = 0.99,
) -> Finding | None:
    """Compare simple numbers of the images between parts, two at a time; None where they agree.

    The distance of two parts is that of Kolmogorov and Smirnov: the largest difference between the
    shares below any value, 0 the same, 1 apart. It is clear where it exceeds .2 by more than chance
    among all comparisons explains, severe above .5.

    Parameters
    ----------
    features : mapping of part to mapping of feature to float array, (n,)
        Of normal images only where labels are known: other classes ought to differ.
    groups : mapping of part to array, (n,), optional
        What was sampled together: chance is that among the effective number of images.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> parts = {
    ...     "calibration": {"brightness": rng.normal(size=200)},
    ...     "test": {"brightness": rng.normal(size=200) + 2},
    ... }
    >>> find_unlike_parts(parts).severity
    'error'
    """
    names = [
        part for part, columns in features.items() if len(next(iter(columns.values()), ())) >= 8
    ]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    compared = [
        (a, b, feature) for a, b in pairs for feature in features[a] if feature in features[b]
    ]
    told = []
    for a, b, feature in compared:
        distance, chance = distance_of(
            features[a][feature],
            features[b][feature],
            (1 - confidence) / len(compared),
            groups=None if groups is None else (groups[a], groups[b]),
        )
        if distance - chance > _CLEAR:
            told.append((distance, feature, a, b))
    if not told:
        return None
    distance, feature, a, b = max(told)
    middle = [float(np.median(features[part][feature])) for part in (a, b)]
    return Finding(
        code=KIND.code,
        severity="error" if distance > _SEVERE else "warning",
        measured={
            "feature": feature,
            "parts": [a, b],
            "distance": distance,
            "medians": middle,
            "all": [
                {"feature": name, "parts": [one, other], "distance": far}
                for far, name, one, other in sorted(told, reverse=True)
            ],
        },
        meaning=(
            f"{a.capitalize()} and {b} are unlike: the median {feature.replace('_', ' ')} is"
            f" {middle[0]:.4g} in {a} and {middle[1]:.4g} in {b}. The distance of the two"
            f" distributions is {distance:.2g}, where 0 means the same and 1 means no overlap. A"
            " threshold chosen on one of them does not hold on the other."
        ),
        what_to_do=(
            "Leave the split out: train, calibration and test are then drawn from one pool. If"
            " the difference is meant, calibrate on images like those to come."
        ),
    )


def distance_of(
    first: NDArray[Any],
    second: NDArray[Any],
    level: float,
    *,
    groups: tuple[Any, Any] | None = None,
) -> tuple[float, float]:
    """The distance of two samples by Kolmogorov and Smirnov, and how large chance makes it at that
    level (asymptotic), among as many independent images as those of the groups are worth.

    >>> distance_of(np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6]), 0.05)[0]
    0.5
    """
    a, b = np.sort(first), np.sort(second)
    edges = np.concatenate([a, b])
    below = np.searchsorted(a, edges, "right") / len(a) - np.searchsorted(b, edges, "right") / len(
        b
    )
    of_first, of_second = (None, None) if groups is None else groups
    share = 1 / _worth(first, of_first) + 1 / _worth(second, of_second)
    return float(np.abs(below).max()), float(np.sqrt(-0.5 * np.log(level / 2) * share))


def _worth(values: NDArray[Any], groups: Any) -> float:
    """As many independent images as these are worth; where groups are few, at most one per group,
    as they show too little of how alike their images are.
    """
    from residua.metrics.groups import FEWEST_GROUPS, as_groups

    known = as_groups(groups, len(values))
    if known is None:
        return len(values)
    few = known.n_groups < FEWEST_GROUPS
    return len(values) / (known.largest_effect if few else known.effect_on_ranks(values))


KIND = FindingKind(
    "unlike-parts",
    "Parts from different distributions",
    find_unlike_parts,
    lambda facts: find_unlike_parts(facts.features_by_part, groups=facts.groups_by_part),
    needs=("features_by_part",),
    jobs=("check",),
)
