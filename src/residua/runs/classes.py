"""The labels of a run as a classifier's targets, and how many images it sets aside from a part that
was drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import LabelError
from residua.images import ImageSet
from residua.runs.labels import class_names, label_values
from residua.training.fitting.options import ClassifyOptions
from residua.training.fitting.targets import LabelledSet, Targets, calibration_set, read_targets
from residua.training.fitting.temperature import FEWEST

_MOST, _SHARE = 2000, 0.1


def labelled_parts(
    images: ImageSet, options: ClassifyOptions
) -> tuple[LabelledSet, LabelledSet, str | None]:
    """Train and calibration with targets, and a sentence where calibration gave images back.

    One temperature needs no fifth of the images. Where the calibration part was drawn, and not
    named by the source, it keeps a tenth of the labelled images, at most 2,000; where that is fewer
    than 100, none: few labels are for learning.
    """
    train, calibration, told = images.train, images.calibration, None
    if "calibration" in images.drawn:
        train, calibration = _give_back(images, options.settings.seed)
        n_back = len(images.calibration) - len(calibration)
        kept = (
            f"a classifier calibrates with {len(calibration):,} images"
            if len(calibration)
            else "too few labels to calibrate with"
        )
        told = f"{kept}: {n_back:,} of the held-out images went back to train"
    if images.labels is None:
        raise LabelError(
            f"{options.source}: images must have labels to train a classifier. They have none. Name"
            " a source with one folder per class, labels in the file, or a manifest with a column"
            " label."
        )
    targets = read_targets(
        label_values(train, options.separator),
        len(train),
        multilabel=None if options.separator is None else True,
    )
    if options.separator is not None:
        targets = Targets(class_names(train, options.separator), targets.values, multilabel=True)
    labels = label_values(calibration, options.separator, targets.classes)
    held = calibration_set(calibration, targets, labels)
    return LabelledSet(train, targets), held, told


def _give_back(images: ImageSet, seed: int) -> tuple[ImageSet, ImageSet]:
    """Train with most calibration images, and those that stay, drawn class by class."""
    parts, labels = images.splits, images.labels
    known = np.zeros(len(images), np.bool_) if labels is None else images.labelled
    candidates = np.flatnonzero((parts == "calibration") & known)
    wanted = int(min(_MOST, _SHARE * (known & (parts != "test")).sum(), len(candidates)))
    kept = (
        _drawn(candidates, labels, wanted, seed)
        if wanted >= FEWEST and labels is not None
        else candidates[:0]
    )
    back = (parts == "calibration") & ~np.isin(np.arange(len(images)), kept)
    return images[np.flatnonzero((parts == "train") | back)], images[np.sort(kept)]


def _drawn(rows: NDArray[np.int64], labels: NDArray[Any], n: int, seed: int) -> NDArray[np.int64]:
    """`n` of `rows`, from each label in turn, so that every class keeps an image or more."""
    rng = np.random.default_rng([seed, len(rows)])
    shuffled = rng.permutation(rows)
    names = np.array([str(label) for label in labels[shuffled].tolist()])
    rank = np.empty(len(shuffled))
    for name in np.unique(names):
        own = np.flatnonzero(names == name)
        rank[own] = (np.arange(len(own)) + 0.5) / len(own)
    return np.asarray(shuffled[np.argsort(rank, kind="stable")[:n]], np.int64)
