"""The magnetic tiles and their protocols: published, grouped by tile, and the halves that keep
designing and judging apart.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from residua import load_images
from residua.images import ImageSet, write_manifest

NORMAL = "Free"
KINDS = ("Blowhole", "Break", "Crack", "Fray", "Uneven")
TWINS = 0.95
_HALVES = 1234
_DRAWS = 3000
_TEST_SHARE, _LARGEST_GROUP = (0.3, 0.45), 0.2
_CALIBRATION = 0.1

Mask = NDArray[np.bool_]
FindGroups = Callable[[ImageSet], Sequence[str]]


@dataclass(frozen=True)
class Protocol:
    """Row numbers of the images in each part; `test` holds normal and defective ones."""

    train: NDArray[np.int64]
    calibration: NDArray[np.int64]
    test: NDArray[np.int64]


def correlated(images: ImageSet) -> list[str]:
    """The first path of each group of photographs that correlate above .95 as 32x32 grey images,
    joined transitively.

    Stricter searches for copies came later (`residua.images.group_duplicates`). The halves were
    drawn on these groups, and what was not looked at while designing must stay what it was.
    """
    small = images.array(size=(32, 32)).mean(axis=3).reshape(len(images), -1)
    small = small - small.mean(axis=1, keepdims=True)
    small /= np.linalg.norm(small, axis=1, keepdims=True).clip(1e-6)
    members = connected_components(coo_array(small @ small.T > TWINS), directed=False)[1]
    first = np.unique(members, return_index=True)[1]
    return [str(images.paths[first[member]]) for member in members]


def load_tiles(folder: Path, find_groups: FindGroups = correlated) -> ImageSet:
    """All photographs with their masks; ``groups`` holds the photographs that each belongs to by
    `find_groups`.
    """
    rows: list[dict[str, Any]] = [
        {
            "path": path,
            "label": path.parts[-3].removeprefix("MT_"),
            "mask": path.with_suffix(".png"),
        }
        for path in sorted(folder.glob("MT_*/Imgs/*.jpg"))
    ]
    with tempfile.TemporaryDirectory() as place:
        images = load_images(
            write_manifest(rows, f"{place}/tiles.csv", root=folder), root=folder, normal=NORMAL
        )
        grouped = [
            {**row, "group": group} for row, group in zip(rows, find_groups(images), strict=True)
        ]
        return load_images(
            write_manifest(grouped, f"{place}/grouped.csv", root=folder), root=folder, normal=NORMAL
        )


def published(images: ImageSet, *, seed: int = 0) -> Protocol:
    """A random fifth of the good images and all defective ones are test. It leaks: twins of test
    images are trained on.
    """
    normals = np.random.default_rng([_HALVES, seed]).permutation(
        np.flatnonzero(~images.is_anomalous)
    )
    n_test = round(0.2 * len(normals))
    n_calibration = round(_CALIBRATION * (len(normals) - n_test))
    test = np.concatenate([normals[:n_test], np.flatnonzero(images.is_anomalous)])
    calibration, train = np.split(normals[n_test:], [n_calibration])
    return Protocol(np.sort(train), np.sort(calibration), np.sort(test))


def grouped(images: ImageSet, *, seed: int = 0) -> Protocol:
    """The published protocol without its leak: test is a random fifth of the groups, and each that
    holds a defective image.
    """
    groups = images.groups.astype(str)
    is_spoilt = np.isin(groups, groups[images.is_anomalous])
    names = np.random.default_rng([_HALVES, seed]).permutation(np.unique(groups[~is_spoilt]))
    n_test = round(0.2 * len(names))
    n_calibration = round(_CALIBRATION * (len(names) - n_test))
    test = np.flatnonzero(is_spoilt | np.isin(groups, names[:n_test]))
    calibration, train = (
        np.flatnonzero(np.isin(groups, some)) for some in np.split(names[n_test:], [n_calibration])
    )
    return Protocol(train, calibration, test)


def development(images: ImageSet) -> Protocol:
    """Train and test within the first half of the groups: what `inspect` was designed on."""
    is_final, is_train = _halves(images)
    return _parted(images, trained=is_train & ~is_final, tested=~is_train & ~is_final)


def final(images: ImageSet) -> Protocol:
    """Test groups of the second half, never looked at while designing; all other good images of
    other groups are for training.
    """
    is_final, is_train = _halves(images)
    return _parted(images, trained=is_train | ~is_final, tested=~is_train & is_final)


def in_final_half(images: ImageSet) -> Mask:
    """Which images belong to the groups that nothing was designed on."""
    return _halves(images)[0]


GROUPED = {f"grouped {division}": partial(grouped, seed=division) for division in range(3)}
PROTOCOLS: dict[str, Callable[[ImageSet], Protocol]] = {
    "published": published,
    "final": final,
    "development": development,
    **GROUPED,
}


def _parted(images: ImageSet, *, trained: Mask, tested: Mask) -> Protocol:
    good = np.flatnonzero(trained & ~images.is_anomalous)
    groups = images.groups[good].astype(str)
    names = np.random.default_rng(_HALVES).permutation(np.unique(groups))
    sizes = np.array([(groups == name).sum() for name in names])
    small = (
        sizes <= _CALIBRATION * len(good) / 2
    )  # else one chain of twins is all that the threshold is chosen from
    held = names[small][np.cumsum(sizes[small]) <= _CALIBRATION * len(good)]
    is_held = np.isin(groups, held)
    return Protocol(good[~is_held], good[is_held], np.flatnonzero(tested))


def _halves(images: ImageSet) -> tuple[Mask, Mask]:
    """Which images lie in the final half, and which in the training groups of their half; by counts
    alone.
    """
    labels = images.labels.astype(str)
    names, unit = np.unique(images.groups.astype(str), return_inverse=True)
    kinds = sorted(set(labels))
    counts = np.stack(
        [np.bincount(unit, labels == kind, minlength=len(names)) for kind in kinds], axis=1
    )
    half = _balanced(counts)
    is_train = np.zeros(len(names), bool)
    for number in (0, 1):
        is_train[
            _training_groups(np.flatnonzero(half == number), counts, kinds.index(NORMAL), number)
        ] = True
    return half[unit] == 1, is_train[unit]


def _balanced(counts: NDArray[Any]) -> NDArray[np.int64]:
    """A half for each group, the largest first, so that good images and every kind of defect are
    shared evenly.
    """
    order = np.random.default_rng(_HALVES).permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    weight, totals, half = (
        1 / counts.sum(0),
        np.zeros((2, counts.shape[1])),
        np.empty(len(counts), int),
    )
    for group in order:
        costs = [
            (((totals[h] + counts[group]) * weight) ** 2).sum()
            + ((totals[1 - h] * weight) ** 2).sum()
            for h in (0, 1)
        ]
        half[group] = int(np.argmin(costs))
        totals[half[group]] += counts[group]
    return half


def _training_groups(
    groups: NDArray[np.int64], counts: NDArray[Any], normal: int, number: int
) -> NDArray[np.int64]:
    """Of many random divisions the one that leaves most defects of every kind for the test and no
    large group of twins.
    """
    best, chosen = -np.inf, groups[:0]
    defects = [kind for kind in range(counts.shape[1]) if kind != normal]
    for draw in range(_DRAWS):
        order = np.random.default_rng([99, 0, number, draw]).permutation(groups)
        n_good = counts[order, normal]
        is_train = np.cumsum(n_good) <= 0.62 * n_good.sum()
        tested = order[~is_train]
        n_tested = counts[tested, normal]
        if not _TEST_SHARE[0] <= n_tested.sum() / n_good.sum() <= _TEST_SHARE[1]:
            continue
        left, whole = counts[tested][:, defects].sum(0), counts[order][:, defects].sum(0)
        value = np.log((left + 0.5) / (whole + 0.5)).mean() - 2 * max(
            0.0, n_tested.max() / n_tested.sum() - _LARGEST_GROUP
        )
        if value > best:
            best, chosen = value, order[is_train]
    return chosen
