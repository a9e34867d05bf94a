"""The mistakes that a classifier is surest of, as pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.figures import MOST_GROUPS, MOST_PICTURES, Exhibit, Group, Picture


def show_mistakes(
    labels: NDArray[Any],
    probabilities: NDArray[Any],
    classes: NDArray[Any],
    picture_of: Callable[[int], NDArray[Any]],
    paths: NDArray[Any],
) -> Exhibit | None:
    """A group for each pair of true and said class, the commonest pair first, the surest mistake of
    each first.

    Parameters
    ----------
    labels : (n_images,)
        None where an image has none.
    probabilities : float (n_images, n_classes)
    classes : (n_classes,)
    picture_of : callable
        Row to image, (height, width, channels).
    paths : (n_images,)

    Returns
    -------
    Exhibit or None
        None where nothing is wrong.

    Examples
    --------
    >>> labels, classes = np.array(["cat", "dog"], object), np.array(["cat", "dog"], object)
    >>> made = show_mistakes(
    ...     labels,
    ...     np.array([[0.1, 0.9], [0.2, 0.8]]),
    ...     classes,
    ...     lambda row: np.zeros((8, 8, 1)),
    ...     labels,
    ... )
    >>> made.groups[0].caption
    'cat, said dog (1 image)'
    """
    place = {str(name): column for column, name in enumerate(classes.tolist())}
    true = np.array(
        [
            place.get(str(label), -1) if label is not None else -1
            for label in np.asarray(labels, object).tolist()
        ]
    )
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
    caption = (
        "What the image is, what the model says, and how sure it is; the surest mistakes of each"
        " pair first."
    )
    return Exhibit(tuple(groups), caption=caption, n_more=max(0, pairs.shape[1] - len(groups)))
