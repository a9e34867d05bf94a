"""Which augmentations a classifier is trained with: shifts always, mirroring where the labels show
that it confuses nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from residua._pixels import as_unit
from residua.images import ImageSet
from residua.images.resize import resize
from residua.training.fitting.targets import Targets

ALWAYS = ("crop",)

_SIDE = 16
_MOST_IMAGES = 10_000
_CHUNK = 500
_LEVEL = 0.05
_FEWEST = 50
_HELPED_FEWEST, _HELPED_SHARE = 10, 1 / 200


class MirrorVotes(NamedTuple):
    """Of images classified by their nearest neighbour: what mirrored neighbours change, and what
    they are worth alone.

    ``helped`` and ``harmed`` count images that only, or no longer, are right once mirrored
    neighbours stand beside the others; ``lost`` and ``gained`` those that are right by the others
    alone and wrong by the mirrored ones alone, and the reverse.
    """

    helped: int
    harmed: int
    lost: int
    gained: int


def choose_augmentations(
    images: ImageSet, targets: Targets, *, seed: int
) -> tuple[tuple[str, ...], str]:
    """The names, and the sentence that says why.

    Mirroring may turn one class into another (digits, letters, a left shoe). So each labelled
    training image is classified by its nearest neighbour among the others, as they are and
    mirrored. Images are mirrored in training unless mirrored neighbours beside the others harm
    significantly more often than they help (one-sided sign tests, 5%), and if either the mirrored
    ones alone tell the classes as well (photographs of things that face both ways), or they are
    right for a fair number of images. No validation, calibration or test image is looked at.
    """
    if targets.multilabel:
        return (
            ALWAYS,
            "augmentation: crop; not mirrored, since the rule for it needs one label per image",
        )
    rows = np.flatnonzero(targets.labelled)
    if len(rows) > _MOST_IMAGES:
        rows = np.sort(
            np.random.default_rng([seed, len(rows)]).choice(rows, _MOST_IMAGES, replace=False)
        )
    if len(rows) < _FEWEST:
        return (
            ALWAYS,
            (
                f"augmentation: crop; not mirrored, since {len(rows)} labelled images do not show"
                " whether classes survive it"
            ),
        )
    votes = mirror_votes(_small(images[rows]), targets.values[rows])
    told = (
        f"mirror images among the nearest neighbours correct the class of {votes.helped} of"
        f" {len(rows):,} images and spoil that of {votes.harmed}; mirror images alone correct"
        f" {votes.gained} and spoil {votes.lost}"
    )
    confuses = _outweighs(votes.harmed, votes.helped)
    is_useful = votes.helped >= max(_HELPED_FEWEST, _HELPED_SHARE * len(rows))
    if not confuses and (is_useful or not _outweighs(votes.lost, votes.gained)):
        return ("flip", *ALWAYS), f"augmentation: flip, crop; {told}"
    return ALWAYS, f"augmentation: crop, no flip; {told}"


def _outweighs(one: int, other: int) -> bool:
    """Whether `one` is significantly more than `other`."""
    return one > other and bool(binomtest(one, one + other, alternative="greater").pvalue < _LEVEL)


def mirror_votes(images: NDArray[np.float32], classes: NDArray[np.int64]) -> MirrorVotes:
    """What mirrored neighbours change, and what they are worth alone.

    - `images`: (n, height, width, channels).
    - `classes`: (n,).
    """
    n = len(images)
    upright, mirrored = images.reshape(n, -1), images[:, :, ::-1].reshape(n, -1)
    square = (upright**2).sum(1)
    votes = np.zeros(4, np.int64)
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
        as_is, by_mirrored, by_both = (classes[one] == classes[own] for one in (*nearest, both))
        changes = (by_both & ~as_is, as_is & ~by_both, as_is & ~by_mirrored, by_mirrored & ~as_is)
        votes += [int(change.sum()) for change in changes]
    return MirrorVotes(*votes.tolist())


def _small(images: ImageSet) -> NDArray[np.float32]:
    """Images at 16x16 pixels or as they are, whichever is smaller, as floats."""
    height, width = (int(side) for side in np.median(images.sizes, axis=0))
    size = (min(_SIDE, height), min(_SIDE, width))
    return as_unit(np.stack([resize(image, size) for image in images]))
