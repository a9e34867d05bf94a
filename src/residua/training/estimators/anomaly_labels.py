"""Labels of normal and anomalous images, as scikit-learn and as other libraries have them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua._labels import normal_among
from residua._text import few
from residua.errors import LabelError
from residua.images.arrays import as_labels

_MEND = (
    "Pass 0 and 1 (1 = anomalous), or scikit-learn's +1 and -1 (-1 = anomalous), or name the normal"
    " label: load_images(X, labels=y, normal=LABEL)"
)


class Anomalies(NamedTuple):
    """Which of the images are anomalous, False where they are not ``labelled``; how that was read.

    ``seen`` are the labels that occur.
    """

    flags: NDArray[np.bool_]
    labelled: NDArray[np.bool_]
    words: str
    seen: frozenset[Any]


def read_anomalies(
    labels: Any, n_images: int, where: str, others: Collection[Any] = ()
) -> Anomalies:
    """What labels say.

    0 and 1, or booleans: 1 is anomalous. 1 and -1, as scikit-learn's outlier detectors have them:
    -1 is. Names: by what they mean. Labels that `fit` saw are ``others``: with them, a part of the
    images that are all anomalous is read like the whole.

    Raises
    ------
    LabelError, ShapeError
        If labels are of another number of images, or could be read in two ways, or in none.

    Examples
    --------
    >>> read = read_anomalies([1, 1, -1, None], 4, "fit")
    >>> read.flags, read.words
    (array([False, False,  True, False]), '-1 is anomalous, +1 normal, 1 without a label too')
    >>> read_anomalies([1, 1], 2, "score", others={0, 1}).flags
    array([ True,  True])
    """
    problems = Problems(where)
    read = as_labels(labels, n_images, name="labels", problems=problems)
    problems.raise_any()
    assert read is not None
    values = read.tolist()
    seen = frozenset(value for value in values if value is not None)
    meaning = _meaning(seen) or _meaning(seen | frozenset(others))
    if meaning is None:
        got, mend = few(sorted(map(str, seen))), _MEND
        if seen == {1}:
            got = "1 alone, which is anomalous beside 0, and normal beside -1"
            mend = f"{_MEND}. A fold of one kind is read if labels are names, as good and defect"
        raise LabelError(f"{where}: labels must say what is anomalous. Got {got}. {mend}.")
    anomalous, words = meaning
    if None in values:
        words += f", {values.count(None):,} without a label too"
    flags = np.array([value in anomalous for value in values], np.bool_)
    labelled = np.array([value is not None for value in values], np.bool_)
    return Anomalies(flags, labelled, words, seen)


def _meaning(known: frozenset[Any]) -> tuple[frozenset[Any], str] | None:
    """Which of the labels are anomalous, and in words why; None where that could be several."""
    if known <= {0, 1} and known != {1}:
        return frozenset({1}), "1 is anomalous, 0 normal"
    if known <= {-1, 1} and known != {1}:
        return frozenset({-1}), "-1 is anomalous, +1 normal"
    normal, why = normal_among(sorted(map(str, known)))
    if not normal or not all(isinstance(value, str) for value in known):
        return None
    return known - set(normal), f"normal is {few(normal)}: {why}"
