"""Element-wise accuracy of multi-label predictions, inflated by the zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.records import Finding

CODE = "inflated-accuracy"


def find_inflated_accuracy(labels: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> Finding:
    """Set element-wise accuracy beside what it hides: recall, and what "no label at all" would get.

    Parameters
    ----------
    labels, predicted : bool array, (n_images, n_labels)

    Examples
    --------
    >>> labels = np.array([[1, 0, 0, 0, 0, 1]], bool)
    >>> told = find_inflated_accuracy(labels, np.array([[0, 0, 0, 0, 0, 1]], bool))
    >>> round(told.measured["element_accuracy"], 3), told.measured["recall"], told.measured["subset_accuracy"]
    (0.833, 0.5, 0.0)
    """
    measured: dict[str, Any] = {
        "element_accuracy": float((labels == predicted).mean()),
        "accuracy_of_no_labels": float((~labels).mean()),
        "recall": float((labels & predicted).sum() / labels.sum()) if labels.any() else None,
        "subset_accuracy": float((labels == predicted).all(axis=1).mean()),
    }
    element, nothing = measured["element_accuracy"], measured["accuracy_of_no_labels"]
    found = (
        "no label is set anywhere"
        if measured["recall"] is None
        else f"{100 * measured['recall']:.3g}% of the set labels are found"
    )
    is_inflated = nothing > 0.5 or element - measured["subset_accuracy"] > 0.1
    return Finding(
        code=CODE,
        severity="warning" if is_inflated else "note",
        measured=measured,
        meaning=(
            f"Counted element by element (what binary accuracy does), {100 * element:.3g}% agree, but {found}; predicting no "
            "label "
            f"at all would agree in {100 * nothing:.3g}%."
        ),
        what_to_do="Report recall, f1 (micro and macro), average precision a label, and subset accuracy instead.",
    )
