"""The labels of images as a classifier takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from residua.errors import LabelError
from residua.images import ImageSet
from residua.metrics._classes import in_order


def label_values(
    images: ImageSet, separator: str | None, classes: tuple[Any, ...] | None = None
) -> Any:
    """Labels; with a separator the 0/1 matrix of the names between, NaN without a label."""
    if separator is None or images.labels is None:
        return images.labels
    names = class_names(images, separator) if classes is None else classes
    place = {str(name): column for column, name in enumerate(names)}
    matrix = np.full((len(images), len(names)), np.nan)
    for row, label in enumerate(images.labels.tolist()):
        if label is None:
            continue
        matrix[row] = 0
        for name in _split(label, separator):
            if name not in place:
                known = ", ".join(place)
                raise LabelError(
                    f"{images.source}: every label must be one that the model knows. Got {name},"
                    f" where it knows {known}."
                )
            matrix[row, place[name]] = 1
    return matrix


def class_names(images: ImageSet, separator: str) -> tuple[str, ...]:
    """The names that occur between separators, in order."""
    labels = [] if images.labels is None else images.labels.tolist()
    return tuple(
        in_order(name for label in labels if label is not None for name in _split(label, separator))
    )


def _split(label: Any, separator: str) -> list[str]:
    return [name.strip() for name in str(label).split(separator) if name.strip()]
