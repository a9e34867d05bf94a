"""What a model should give where that is not its input: clean images for a denoiser, large ones for
a super-resolver.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from residua.errors import ShapeError
from residua.images import ImageSet, load_images


def targets_of(targets: Any, images: ImageSet) -> ImageSet:
    """The target of each of `images`, in their order: by the same name, with or without suffix, or
    by place where none is named.

    Raises ShapeError if an image has no target, several, or one with another number of channels.

    - `targets`: SOURCE, ImageSet, array or function. A function gets `images`, and gives one target
      per image.
    - `images`: The judged ones.
    """
    if callable(targets) and not isinstance(targets, ImageSet):
        found, by_name = ImageSet.from_arrays(targets(images)), False
    elif isinstance(targets, str | Path):
        found, by_name = load_images(str(targets), reading=images.reading), True
    else:
        found = ImageSet.from_arrays(targets)
        by_name = found.kind != "arrays" and images.kind != "arrays"
    if by_name:
        found = found[_rows(images, found)]
    if len(found) != len(images) or found.channels != images.channels:
        raise ShapeError(
            f"evaluate: targets must be one per image, with as many channels. Got {len(found):,}"
            f" targets of {found.channels} channels for {len(images):,} images of"
            f" {images.channels}. Pass the target of each judged image, in their order."
        )
    return found


def _rows(images: ImageSet, targets: ImageSet) -> Any:
    """Where each image's target is, by its name; without suffixes where these differ."""
    for name in (str, _stem):
        there: dict[str, list[int]] = {}
        for row, path in enumerate(targets.paths.tolist()):
            there.setdefault(name(path), []).append(row)
        asked = [name(path) for path in images.paths.tolist()]
        if all(len(there.get(one, ())) == 1 for one in asked):
            return np.array([there[one][0] for one in asked], np.int64)
    missing = [one for one in asked if len(there.get(one, ())) != 1]
    raise ShapeError(
        f"evaluate: each image must have one target of its own name in {targets.source}. Got none"
        f" or several for {len(missing):,} of {len(images):,} images, such as {missing[0]!r}. Name"
        " the targets as the images are named."
    )


def _stem(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(""))
