"""The mean of the train images as the reconstruction of everything."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.baselines.base import Images, squared_error


def mean_image_reconstructions(train: Images, images: Images, **_: Any) -> Images:
    """The mean train image, once for each of `images`.

    Examples
    --------
    >>> train = np.array([0.0, 1.0], np.float32).reshape(2, 1, 1, 1)
    >>> mean_image_reconstructions(train, train).ravel().tolist()
    [0.5, 0.5]
    """
    return np.broadcast_to(train.mean(axis=0, dtype=np.float64).astype(np.float32), images.shape)


def mean_image_scores(train: Images, images: Images, **_: Any) -> NDArray[np.float32]:
    """Squared distance to the mean train image, a mean over pixels."""
    return squared_error(images, mean_image_reconstructions(train, images))
