"""Labels of normal and anomalous images, as scikit-learn and as other libraries have them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, fault
from residua._labels import normal_among
from residua._text import few
from residua.errors import LabelError
from residua.images.arrays import as_labels

_MEND = (
    "Pass 0 and 1 (1 = anomalous), or scikit-learn's +1 and -1 (-1 = anomalous), or name the normal"
    " label: load_images(X, labels=y, normal=LABEL)"
)


def read_anomalies(labels: Any, n_images: int, where: str) -> tuple[NDArray[np.bool_], str]:
    """Which of the images are anomalous, False without a label, and in words how labels were read.

    0 and 1, or booleans: 1 is anomalous. 1 and -1, as scikit-learn's outlier detectors have them:
    -1 is. Names: by what they mean.

    Raises
    ------
    LabelError, ShapeError
        If labels are of another number of images, or could be read in two ways, or in none.

    Examples
    --------
    >>> read_anomalies([1, 1, -1, None], 4, "fit")
    (array([False, False,  True, False]), '-1 is anomalous, +1 normal, 1 without a label too')
    """
    problems = Problems(where)
    read = as_labels(labels, n_images, name="labels", problems=problems)
    problems.raise_any()
    assert read is not None
    values = read.tolist()
    known = {value for value in values if value is not None}
    if known <= {0, 1} and known != {1}:
        anomalous, words = {1}, "1 is anomalous, 0 normal"
    elif known <= {-1, 1} and known != {1}:
        anomalous, words = {-1}, "-1 is anomalous, +1 normal"
    else:
        names = sorted(map(str, known))
        normal, why = normal_among(names)
        if not normal or not all(isinstance(value, str) for value in known):
            got = "1 alone, which means both" if known == {1} else few(names)
            raise fault(where, "labels must say what is anomalous", got, _MEND, LabelError)
        anomalous, words = known - set(normal), f"normal is {few(normal)}: {why}"
    if None in values:
        words += f", {values.count(None):,} without a label too"
    return np.array([value in anomalous for value in values], np.bool_), words
