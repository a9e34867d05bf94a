"""What the baselines share.

Their signatures, the sample they learn from, the error they are scored by.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]

MOST_TRAIN_IMAGES = 10_000


class Reconstructor(Protocol):
    """``f(train, images, latent, seed) -> reconstructions``, float32 of the shape of `images`."""

    def __call__(self, train: Images, images: Images, *, latent: int, seed: int = 0) -> Images:
        """Reconstruct `images` by what `train` shows."""


class Detector(Protocol):
    """``f(train, images, latent, seed) -> scores``, float32 (n,), higher = more anomalous."""

    def __call__(
        self, train: Images, images: Images, *, latent: int, seed: int = 0
    ) -> NDArray[np.float32]:
        """Score `images` by what `train` shows."""


def sample(train: Images, seed: int) -> Images:
    """At most 10,000 images of `train`, drawn by the seed."""
    if len(train) <= MOST_TRAIN_IMAGES:
        return train
    rows = np.random.default_rng([seed, len(train)]).choice(
        len(train), MOST_TRAIN_IMAGES, replace=False
    )
    return train[np.sort(rows)]


def squared_error(images: Images, reconstructions: Images) -> NDArray[np.float32]:
    """Mean squared error of each image, float32 (n_images,)."""
    difference = (images - reconstructions).reshape(len(images), int(np.prod(images.shape[1:])))
    return np.asarray(
        np.einsum("ij,ij->i", difference, difference) / np.float32(max(1, difference.shape[1])),
        np.float32,
    )


def deviation(
    train_values: NDArray[np.float32], values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How many median absolute deviations each value lies from the train values' median."""
    centre = np.median(train_values)
    spread = np.median(np.abs(train_values - centre)) or np.float32(1e-6)
    return np.asarray(np.abs(values - centre) / spread, np.float32)
