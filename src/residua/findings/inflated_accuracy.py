"""Element-wise accuracy of multi-label predictions, inflated by the zeros."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from residua.findings.kind import Finding, FindingKind


def find_inflated_accuracy(y_true: Any, y_pred: Any) -> Finding:
    """Set element-wise accuracy beside what it hides: recall, and what "no label at all" would get.

    A warning where silence would get more than half, or where accuracy is more than 0.1 above the
    share of images that are right in full.

    Parameters
    ----------
    y_true : 0/1 array, (n_images, n_labels)
    y_pred : 0/1 array, or float in [0, 1] (above 0.5 counts), of the same shape

    Examples
    --------
    >>> told = find_inflated_accuracy([[1, 0, 0, 0, 0, 1]], [[0.23, 0.34, 0.45, 0.22, 0.10, 0.9]])
    >>> (
    ...     round(told.measured["element_wise_accuracy"], 3),
    ...     told.measured["recall"],
    ...     told.measured["subset_accuracy"],
    ... )
    (0.833, 0.5, 0.0)
    """
    from residua.metrics.multilabel import inflation

    told = inflation(y_true, y_pred)
    is_inflated = (
        told.all_negative_accuracy > 0.5 or told.element_wise_accuracy - told.subset_accuracy > 0.1
    )
    return Finding(
        code=KIND.code,
        severity="warning" if is_inflated else "note",
        measured={
            name: value if math.isfinite(value) else None
            for name, value in asdict(told).items()
            if name != "meaning"
        },
        meaning=f"Binary accuracy counts every label of every image, mostly zeros. {told.meaning}",
        what_to_do=(
            "Report recall, f1 (micro and macro), average precision per label and subset"
            " accuracy instead."
        ),
    )


KIND = FindingKind(
    "inflated-accuracy",
    "Accuracy inflated by labels that are not set",
    find_inflated_accuracy,
    lambda facts: find_inflated_accuracy(*facts.multilabel),
    needs=("multilabel",),
    jobs=("classify",),
)
