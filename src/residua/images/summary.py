"""What is told of a set of images: what `info --json` writes, and what they look like from afar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua.images.channels import own_channels
from residua.images.groups import n_groups
from residua.images.listing import PARTS
from residua.images.splits import groups_in_two_splits

if TYPE_CHECKING:
    from residua.images.imageset import ImageSet


def summarise(images: ImageSet, formats: Mapping[str, int]) -> dict[str, Any]:
    """The summary as JSON values; `formats` counts the kinds of file."""
    return {
        "source": images.source,
        "kind": images.kind,
        "n_images": len(images),
        "splits": part_counts(images.splits),
        "groups_in_parts": None
        if images.groups is None
        else {
            part: n_groups(images.groups[images.splits == part].tolist())
            for part in part_counts(images.splits)
        },
        "labels": _label_counts(images),
        "normal": None if images.normal is None else list(images.normal),
        "n_with_mask": int(images.masks.known.sum()),
        "n_groups": images.n_groups or 0,
        "grouping": (None if images.grouping is None else images.grouping.model_dump(mode="json")),
        "groups_in_two_splits": groups_in_two_splits(
            images.splits, None if images.groups is None else images.groups.tolist()
        ),
        "channels": images.channels,
        "dtype": images.dtype.name,
        "reading": images.reading.model_dump(mode="json"),
        "sizes": _size_summary(images.sizes),
        "formats": dict(formats),
        "fingerprint": images.fingerprint,
        "notes": list(images.notes),
        "assumptions": [one.model_dump(mode="json") for one in images.assumptions],
        "quarantined": [{"path": path, "reason": reason} for path, reason in images.quarantined],
    }


def groups_of(images: ImageSet) -> dict[str, Any] | None:
    """By what images are grouped, and how many groups there are, for a record; None without groups.

    >>> from residua.images import ImageSet
    >>> groups_of(ImageSet.from_arrays(np.zeros((3, 8, 8), np.uint8), groups=["a", "a", "b"]))
    {'rule': 'an array', 'n_groups': 2}
    """
    if images.grouping is None:
        return None
    return {"rule": images.grouping.words, "n_groups": images.n_groups}


def part_counts(splits: NDArray[Any]) -> dict[str, int]:
    """How many images each part holds."""
    tally = Counter(splits.tolist())
    return {part: tally[part] for part in PARTS}


def _label_counts(images: ImageSet) -> dict[str, dict[str, int]]:
    labels = images.labels
    if labels is None:
        return {}
    tally = Counter(zip(images.splits.tolist(), labels.tolist(), strict=True))
    order = sorted(tally, key=lambda pair: (pair[1] is None, str(pair[1])))
    return {
        part: {
            "(no label)" if label is None else str(label): tally[own, label]
            for own, label in order
            if own == part
        }
        for part in PARTS
    }


def _size_summary(sizes: NDArray[np.int64]) -> dict[str, Any]:
    if not len(sizes):
        return {"n_different": 0}
    rows = {"min": sizes.min(axis=0), "median": np.median(sizes, axis=0), "max": sizes.max(axis=0)}
    return {
        **{name: {"height": int(row[0]), "width": int(row[1])} for name, row in rows.items()},
        "n_different": len(np.unique(sizes, axis=0)),
    }


def brightness(image: NDArray[Any]) -> float:
    """Mean value of an image (h, w, c), uint8 or float in [0, 1], in [0, 1].

    >>> brightness(np.full((2, 2, 1), 51, np.uint8))
    0.2
    """
    mean = float(own_channels(image).mean(dtype=np.float64))
    return round(mean / (255 if image.dtype == np.uint8 else 1), 6)


def looks_of(images: ImageSet) -> dict[str, Any]:
    """``n``, and [smallest, largest] height, width and brightness; of no images ``n`` alone.

    >>> from residua.images import ImageSet
    >>> looks_of(ImageSet.from_arrays(np.array([np.zeros((8, 9)), np.full((8, 9), 255)], np.uint8)))
    {'n': 2, 'height': [8, 8], 'width': [9, 9], 'brightness': [0.0, 1.0]}
    """
    if not len(images):
        return {"n": 0}
    light = [brightness(image) for image in images]
    low, high = images.sizes.min(axis=0).tolist(), images.sizes.max(axis=0).tolist()
    return {
        "n": len(images),
        "height": [low[0], high[0]],
        "width": [low[1], high[1]],
        "brightness": [min(light), max(light)],
    }
