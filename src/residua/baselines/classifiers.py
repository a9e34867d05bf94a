"""What a classifier has to beat.

The commonest class, nearest neighbours on pixels, and a linear function of the pixels.
"""

from __future__ import annotations

import warnings
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from residua.baselines.base import MOST_TRAIN_IMAGES, Images
from residua.images.resize import flattened

_NEIGHBOURS = 5
_STEPS = 100


class Classifier(Protocol):
    """``f(train, labels, images, n_classes, seed) -> classes``, int64 places of classes."""

    def __call__(
        self,
        train: Images,
        labels: NDArray[np.int64],
        images: Images,
        *,
        n_classes: int,
        seed: int = 0,
    ) -> NDArray[np.int64]:
        """Name the class of each of `images` by what `train` shows."""


def majority_class(
    train: Images, labels: NDArray[np.int64], images: Images, *, n_classes: int, seed: int = 0
) -> NDArray[np.int64]:
    """The commonest training class, whatever the image.

    Examples
    --------
    >>> pixels = np.zeros((3, 1, 1, 1), np.float32)
    >>> majority_class(pixels, np.array([0, 1, 1]), pixels[:2], n_classes=2).tolist()
    [1, 1]
    """
    return np.full(len(images), int(np.bincount(labels, minlength=n_classes).argmax()), np.int64)


def neighbour_classes(
    train: Images, labels: NDArray[np.int64], images: Images, *, n_classes: int, seed: int = 0
) -> NDArray[np.int64]:
    """The vote of the five nearest training images, pixel by pixel; nearer ones weigh more.

    At most 10,000 training images are used.
    """
    from sklearn.neighbors import KNeighborsClassifier

    known, names = _sampled(train, labels, seed)
    search = KNeighborsClassifier(
        min(_NEIGHBOURS, len(known)), weights="distance", algorithm="brute"
    ).fit(flattened(known), names)
    return np.asarray(search.predict(flattened(images)), np.int64)


def linear_classes(
    train: Images, labels: NDArray[np.int64], images: Images, *, n_classes: int, seed: int = 0
) -> NDArray[np.int64]:
    """Logistic regression on (at most 10,000 of) the training images' pixels."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    known, names = _sampled(train, labels, seed)
    if len(np.unique(names)) < 2:
        return majority_class(known, names, images, n_classes=n_classes)
    pixels = flattened(known)
    centre, spread = pixels.mean(0), pixels.std(0).mean() or np.float32(1)
    with warnings.catch_warnings():
        # A baseline need not be the best of its kind.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = LogisticRegression(C=0.1, max_iter=_STEPS).fit((pixels - centre) / spread, names)
    return np.asarray(fitted.predict((flattened(images) - centre) / spread), np.int64)


def _sampled(
    train: Images, labels: NDArray[np.int64], seed: int
) -> tuple[Images, NDArray[np.int64]]:
    if len(train) <= MOST_TRAIN_IMAGES:
        return train, labels
    rows = np.sort(
        np.random.default_rng([seed, len(train)]).choice(
            len(train), MOST_TRAIN_IMAGES, replace=False
        )
    )
    return train[rows], labels[rows]
