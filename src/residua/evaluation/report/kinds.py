"""What the arrays say of each image: which kind it is, and what images are ordered by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.evidence import Evidence

UNKNOWN = 2


def truth(evidence: Evidence) -> NDArray[np.uint8] | None:
    """0 normal, 1 abnormal, 2 not known, an image each; None where nothing is known."""
    if evidence.is_anomalous is None:
        return None
    known = np.asarray(evidence.is_anomalous).astype(np.uint8)
    if evidence.labelled is not None:
        known[~np.asarray(evidence.labelled, dtype=bool)] = UNKNOWN
    return None if (known == UNKNOWN).all() else known


def ranking_values(evidence: Evidence) -> tuple[str, NDArray[Any] | None]:
    """What images are ordered by: the score, else the mean squared or absolute error."""
    if evidence.scores is not None:
        return "score", np.asarray(evidence.scores)
    for name in ("mse", "mae"):
        if name in evidence.per_image:
            return name, np.asarray(evidence.per_image[name])
    return "", None
