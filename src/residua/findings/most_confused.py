"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.figures import MOST_GROUPS, MOST_PICTURES, Figure, Group, Picture
from residua.findings.kind import Answer, Finding, FindingKind, JudgedFacts


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
        code=KIND.code,
        severity="note",
        measured={
            "true": classes[row],
            "predicted": classes[column],
            "n": n,
            "classes": list(classes),
            "confusion_matrix": matrix.tolist() if len(classes) <= 100 else None,
        },
        meaning=(
            f"The commonest of {total} mistakes: {n} of {of} images of {classes[row]!r} are"
            f" taken for {classes[column]!r}. In the confusion matrix rows are true and columns"
            " predicted. Off the diagonal, a row holds the false negatives of its class, and a"
            " column the false positives."
        ),
        what_to_do=(
            "Look at images of these two classes side by side. Read recall and precision per"
            " class, not accuracy alone."
        ),
    )


def draw_mistakes(
    true: NDArray[np.int64],
    probabilities: NDArray[Any],
    classes: Sequence[str],
    picture_of: Callable[[int], NDArray[Any]],
    paths: NDArray[Any],
) -> Figure | None:
    """The mistakes that a classifier is surest of: a group for each pair of true and said class.

    The commonest pair stands first, and of each pair the surest mistake.

    Parameters
    ----------
    true : int array, (n_images,)
        Index of the true class; -1 where an image has no label.
    probabilities : float array, (n_images, n_classes)
    classes : sequence of str
    picture_of : callable
        Row to image, (height, width, channels).
    paths : (n_images,)

    Returns
    -------
    Figure or None
        None where nothing is wrong.

    Examples
    --------
    >>> made = draw_mistakes(
    ...     np.array([0, 1]),
    ...     np.array([[0.1, 0.9], [0.2, 0.8]]),
    ...     ["cat", "dog"],
    ...     lambda row: np.zeros((8, 8, 1)),
    ...     np.array(["a.png", "b.png"]),
    ... )
    >>> made.groups[0].caption
    'cat, said dog (1 image)'
    """
    said = probabilities.argmax(axis=1)
    wrong = np.flatnonzero((true >= 0) & (said != true))
    if not len(wrong):
        return None
    pairs, member, counts = np.unique(
        np.stack([true[wrong], said[wrong]]), axis=1, return_inverse=True, return_counts=True
    )
    groups = []
    for pair in np.argsort(-counts, kind="stable")[:MOST_GROUPS].tolist():
        rows = wrong[np.ravel(member) == pair]
        rows = rows[np.argsort(-probabilities[rows, said[rows]], kind="stable")]
        names = [str(classes[index]) for index in pairs[:, pair]]
        shown = tuple(
            Picture.of(picture_of(row), f"{paths[row]}: {probabilities[row, said[row]]:.2f}")
            for row in rows[:MOST_PICTURES].tolist()
        )
        n = int(counts[pair])
        groups.append(Group(shown, f"{names[0]}, said {names[1]} ({n:,} image{'s' * (n > 1)})"))
    return Figure(
        tuple(groups),
        caption=(
            "The true class, the predicted class and its probability; the surest mistakes of each"
            " pair first."
        ),
        n_more=max(0, pairs.shape[1] - len(groups)),
    )


def _ask(facts: JudgedFacts) -> Answer:
    finding = find_most_confused(facts.confusion, facts.classes)
    if finding is None or facts.picture_of is None or facts.probabilities is None:
        return finding
    rows = np.arange(len(facts.true)) if facts.labelled is None else np.flatnonzero(facts.labelled)
    picture_of = facts.picture_of
    shown = draw_mistakes(
        facts.true,
        facts.probabilities,
        facts.classes,
        lambda row: picture_of(int(rows[row])),
        facts.paths[rows],
    )
    return finding, shown


KIND = FindingKind(
    "most-confused",
    "The two classes that are confused most",
    find_most_confused,
    _ask,
    needs=("confusion", "classes"),
    jobs=("classify",),
)
