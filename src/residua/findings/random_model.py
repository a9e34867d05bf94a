"""A model that gives something else each time it is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind, JudgedFacts

_MUCH = 0.05


def find_random_model(
    first: NDArray[Any], again: NDArray[Any], *, threshold: float | None = None
) -> Finding:
    """How far scores of the same images move between two calls, beside how far images lie apart.

    Error: a decision flips, or they move by more than a twentieth of what images differ by. Else
    warning.

    Parameters
    ----------
    first, again : float array, (n_images,)
        Scores of the same images by the same model, called twice.
    threshold : float, optional

    Examples
    --------
    >>> found = find_random_model(
    ...     np.array([0.1, 0.2, 0.9]), np.array([0.1, 0.6, 0.9]), threshold=0.5
    ... )
    >>> found.severity, found.measured["flipped"]
    ('error', 1)
    """
    a, b = (np.asarray(one, np.float64) for one in (first, again))
    moves, spread = float(np.abs(a - b).mean()), float(a.std())
    share = moves / spread if spread > 0 else float(moves > 0)
    flipped = None if threshold is None else int(((a > threshold) != (b > threshold)).sum())
    decided = "" if flipped is None else f" {flipped} of {len(a)} decisions differ."
    return Finding(
        code=KIND.code,
        severity="error" if flipped or share > _MUCH else "warning",
        measured={
            "moves": moves,
            "spread": spread,
            "share": share,
            "flipped": flipped,
            "n_images": len(a),
        },
        meaning=(
            f"The model is random. When it is called twice on the same {len(a)} images, scores"
            f" differ by {moves:.3g} on average, which is {share:.2g} of the differences"
            f" between images.{decided} No number here is reproducible."
        ),
        what_to_do=(
            "Make it deterministic: use the mean of the latent code instead of a sample, and"
            " switch dropout off. Or wrap it with samples=16: each reconstruction is then the"
            " mean of 16 calls, and moves a quarter as much."
        ),
    )


def _ask(facts: JudgedFacts) -> Finding:
    first, again = facts.asked_twice()
    point = facts.operating_point
    return find_random_model(first, again, threshold=None if point is None else point.threshold)


KIND = FindingKind(
    "random-model",
    "A model that gives different answers to one image",
    find_random_model,
    _ask,
    needs=("asked_twice",),
)
