"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.records import Finding

CODE = "most-confused"


def find_most_confused(matrix: NDArray[Any], classes: Sequence[str]) -> Finding | None:
    """Name the commonest mistake and keep the confusion matrix; None where nothing is confused.

    Parameters
    ----------
    matrix : int array, (n_classes, n_classes)
        Rows true, columns predicted.
    classes : sequence of str
        In the order of rows and columns.

    Examples
    --------
    >>> told = find_most_confused(np.array([[8, 2], [1, 9]]), ["cat", "dog"])
    >>> told.measured["true"], told.measured["predicted"], told.measured["n"]
    ('cat', 'dog', 2)
    """
    mistakes = matrix - np.diag(np.diag(matrix))
    if not mistakes.any():
        return None
    row, column = (int(i) for i in np.unravel_index(int(mistakes.argmax()), mistakes.shape))
    n, of, total = int(mistakes[row, column]), int(matrix[row].sum()), int(mistakes.sum())
    return Finding(
        code=CODE,
        severity="note",
        measured={
            "true": classes[row],
            "predicted": classes[column],
            "n": n,
            "classes": list(classes),
            "confusion_matrix": matrix.tolist() if len(classes) <= 100 else None,
        },
        meaning=(
            f"The commonest of {total} mistakes: {n} of {of} images of {classes[row]!r} are taken"
            f" for {classes[column]!r}. In the confusion matrix rows are true and columns"
            " predicted: off the diagonal, a class's row holds its false negatives, its column its"
            " false positives."
        ),
        what_to_do=(
            "Look at images of these two classes side by side; read recall and precision a class,"
            " not accuracy alone."
        ),
    )
