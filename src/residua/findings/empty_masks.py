"""Masks of defects in which nothing is marked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind, Severity

_FEW, _MOST = 0.05, 0.5


def find_empty_masks(shares: NDArray[np.float64], paths: Sequence[str]) -> Finding | None:
    """Say which defective images have a mask that marks nothing; None where all mark something.

    Error: more than half of them, for then pixel metrics are about the rest alone. Warning: more
    than one in twenty. Note: fewer.

    Parameters
    ----------
    shares : float array, (n,)
        The share of each image that its mask marks, of defective images with a mask.
    paths : sequence of str, (n,)

    Examples
    --------
    >>> told = find_empty_masks(np.array([0.1, 0.0, 0.2]), ["a.png", "b.png", "c.png"])
    >>> told.severity, told.measured["examples"]
    ('warning', ['b.png'])
    """
    empty = np.flatnonzero(shares == 0).tolist()
    if not empty:
        return None
    share = len(empty) / len(shares)
    severity: Severity = "error" if share > _MOST else "warning" if share > _FEW else "note"
    verb = "marks" if len(empty) == 1 else "mark"
    return Finding(
        code=KIND.code,
        severity=severity,
        measured={
            "n_empty": len(empty),
            "n_masks": len(shares),
            "examples": [str(paths[row]) for row in empty[:10]],
        },
        meaning=(
            f"{len(empty):,} of the {len(shares):,} masks of defective images that were looked at"
            f" {verb} nothing, for example that of {paths[empty[0]]}. All pixels of these images"
            " count as good. If the model finds such a defect, its pixels count as false alarms."
        ),
        what_to_do=(
            "Draw the missing masks, or delete those mask files. Pixels without a mask are"
            " unknown and count in no figure."
        ),
    )


KIND = FindingKind(
    "empty-masks",
    "Masks of defects that mark nothing",
    find_empty_masks,
    lambda facts: find_empty_masks(facts.masks.of_defects, facts.masks.defect_paths),
    needs=("masks",),
    jobs=("detect", "check"),
)
