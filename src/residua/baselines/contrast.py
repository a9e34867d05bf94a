"""One number an image: the standard deviation of its pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.baselines.base import Images, deviation


def contrast_scores(train: Images, images: Images, **_: Any) -> NDArray[np.float32]:
    """How far the spread of an image's pixels lies from that of the train images.

    Flatter and stronger both count.

    Examples
    --------
    >>> train = np.array([[0.0, 0.2], [0.0, 0.4], [0.0, 0.6]], np.float32).reshape(3, 1, 2, 1)
    >>> contrast_scores(train, train).round(1).tolist()
    [1.0, 0.0, 1.0]
    """
    return deviation(train.std(axis=(1, 2, 3)), images.std(axis=(1, 2, 3)))
