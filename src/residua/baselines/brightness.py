"""One number an image: its mean brightness."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.baselines.base import Images, deviation


def brightness_scores(train: Images, images: Images, **_: Any) -> NDArray[np.float32]:
    """How far an image's mean brightness lies from that of the train images, darker or brighter.

    Examples
    --------
    >>> train = np.array([0.4, 0.5, 0.6], np.float32).reshape(3, 1, 1, 1)
    >>> brightness_scores(train, np.array([0.5, 0.9], np.float32).reshape(2, 1, 1, 1)).round(
    ...     1
    ... ).tolist()
    [0.0, 4.0]
    """
    return deviation(train.mean(axis=(1, 2, 3)), images.mean(axis=(1, 2, 3)))
