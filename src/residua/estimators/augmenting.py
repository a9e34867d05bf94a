"""Which augmentations a classifier is trained with: shifts always, mirroring only where the labels show that it helps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from residua.estimators.targets import Targets
from residua.images import ImageSet
from residua.images.resize import resize

ALWAYS = ("crop",)

_SIDE = 16
_MOST_IMAGES = 10_000
_CHUNK = 500
_LEVEL = 0.05


def choose_augmentations(images: ImageSet, targets: Targets, *, seed: int) -> tuple[tuple[str, ...], str]:
    """The names, and the sentence that says why.

    Mirroring may turn one class into another (digits, letters, a left shoe). So each labelled training image is classified by
    its nearest neighbour among the others, once with and once without their mirror images: where these help significantly more
    often than they harm (one-sided sign test, 5%), images are mirrored in training. No validation, calibration or test image
    is looked at.
    """
    if targets.multilabel:
        return ALWAYS, "augmentation: crop; not mirrored, since the rule for it needs one label an image"
    rows = np.flatnonzero(targets.labelled)
    if len(rows) > _MOST_IMAGES:
        rows = np.sort(np.random.default_rng([seed, len(rows)]).choice(rows, _MOST_IMAGES, replace=False))
    helped, harmed = mirror_votes(_small(images[rows]), targets.values[rows])
    told = f"mirrored neighbours put {helped} of {len(rows):,} images right and {harmed} wrong"
    if helped > harmed and binomtest(helped, helped + harmed, alternative="greater").pvalue < _LEVEL:
        return ("flip", *ALWAYS), f"augmentation: flip, crop; {told}"
    return ALWAYS, f"augmentation: crop, no flip; {told}"


def mirror_votes(images: NDArray[np.float32], classes: NDArray[np.int64]) -> tuple[int, int]:
    """How many images only a mirrored neighbour puts right, and how many only it puts wrong.

    Parameters
    ----------
    images : (n, height, width, channels)
    classes : (n,)
    """
    n = len(images)
    upright, mirrored = images.reshape(n, -1), images[:, :, ::-1].reshape(n, -1)
    square = (upright**2).sum(1)
    helped = harmed = 0
    for start in range(0, n, _CHUNK):
        rows = slice(start, start + _CHUNK)
        own = np.arange(start, min(start + _CHUNK, n))
        nearest, distance = [], []
        for others in (upright, mirrored):
            far = square[None, :] - 2 * upright[rows] @ others.T
            far[np.arange(len(own)), own] = np.inf  # neither itself nor its own mirror image
            nearest.append(far.argmin(1))
            distance.append(far.min(1))
        both = np.where(distance[1] < distance[0], nearest[1], nearest[0])
        right_alone, right_both = (classes[one] == classes[own] for one in (nearest[0], both))
        helped += int((right_both & ~right_alone).sum())
        harmed += int((right_alone & ~right_both).sum())
    return helped, harmed


def _small(images: ImageSet) -> NDArray[np.float32]:
    """Images at 16x16 pixels or as they are, whichever is smaller, as floats."""
    height, width = (int(side) for side in np.median(images.sizes, axis=0))
    size = (min(_SIDE, height), min(_SIDE, width))
    small = np.stack([resize(image, size) for image in images]).astype(np.float32)
    return small / np.float32(255) if images.dtype == np.uint8 else small
