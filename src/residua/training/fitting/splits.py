"""What a fit trains on and what it holds out: normal images, and seeded shares of whole groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.images import ImageSet

VALIDATION_SHARE = 0.1
"""Of train: for early stopping, and for standardising scores."""
CALIBRATION_SHARE = 0.2
"""Of train, where a detector is given no calibration images."""

_HELD_AT_MOST = 1.5  # times the share that is asked for: one large group may be most of the set


def normals_of(train: ImageSet) -> tuple[ImageSet, int]:
    """The normal images of `train`, and how many others were left out."""
    is_anomalous = train.presumed_anomalous
    if not is_anomalous.any():
        return train, 0
    return train[np.flatnonzero(~is_anomalous)], int(is_anomalous.sum())


def hold_out(images: ImageSet, share: float, *, seed: int) -> tuple[ImageSet, ImageSet]:
    """`images` without, and with only, a seeded share of them (at least one); whole groups stay
    together.

    Groups so large that they would take half as much again as the share are left where they are, if
    there are others.
    """
    held = held_rows(images, share, seed=seed)
    return images[np.flatnonzero(~held)], images[np.flatnonzero(held)]


def held_rows(images: ImageSet, share: float, *, seed: int) -> NDArray[np.bool_]:
    """Which images `hold_out` holds out."""
    groups = images.groups
    units = np.arange(len(images)) if groups is None else _unit_numbers(groups)
    sizes = np.bincount(units)
    wanted = share * len(images)
    most = max(_HELD_AT_MOST * wanted, wanted + 1)
    held: list[int] = []
    n_held = 0
    for unit in np.random.default_rng([seed, len(sizes)]).permutation(len(sizes)).tolist():
        if n_held >= wanted or len(held) == len(sizes) - 1:
            break
        if n_held + sizes[unit] <= most:
            held.append(unit)
            n_held += sizes[unit]
    if not held and len(sizes) > 1:
        held = [int(sizes.argmin())]
    return np.isin(units, held)


def sample_rows(n: int, most: int, seed: int) -> NDArray[np.int64]:
    """At most `most` of `n` rows, drawn by `seed`, in order."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng([seed, n]).choice(n, most, replace=False))


def _unit_numbers(groups: NDArray[Any]) -> NDArray[np.int64]:
    """A number a group; images without a group are groups of their own."""
    numbers: dict[Any, int] = {}
    return np.array(
        [
            numbers.setdefault((True, group) if group is not None else (False, row), len(numbers))
            for row, group in enumerate(groups)
        ],
        np.int64,
    )
