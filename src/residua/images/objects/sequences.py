"""Whatever has a length and gives items by number: lists, and torch's ``Dataset``.

An item is an image (of Pillow, an array, a tensor, a path, encoded bytes), a pair of image and
label, or a mapping with both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from residua.errors import SourceError
from residua.images.listing import Listing, Options
from residua.images.objects.items import list_in_memory, list_items


def recognises(thing: Any) -> bool:
    """Sequences, generators and iterable data sets; not mappings and not texts."""
    return not isinstance(thing, (str, bytes, Mapping)) and (
        (hasattr(thing, "__getitem__") and hasattr(thing, "__len__")) or hasattr(thing, "__iter__")
    )


def read(thing: Any, options: Options) -> Listing:
    """The items, read by number where that is possible, else all in memory."""
    if isinstance(thing, (list, tuple)):
        return _of_list(list(thing), options)
    name = type(thing).__name__
    if hasattr(thing, "__getitem__") and hasattr(thing, "__len__"):
        n = len(thing)
        first = thing[0] if n else None
        image = first[0] if isinstance(first, tuple) and first else first
        if len(getattr(image, "shape", ())) != 4:
            return list_items(
                name, n, thing.__getitem__, options, name=name, names=_paths(thing, n)
            )
        thing = (thing[row] for row in range(n))  # batches, as Keras' data sets give them
    mend = "Pass a data set that gives one image by its number"
    return list_in_memory(name, thing, options, name, mend)


def _of_list(items: list[Any], options: Options) -> Listing:
    if not items:
        raise SourceError("load_images: a list must hold at least one image. Got none.")
    if _is_pair(items):
        raise SourceError(
            "load_images: a list must hold images, or pairs of image and label. Got one pair of"
            f" {len(items[0])} images and their labels. Pass the labels beside the images: y, or"
            " labels=."
        )
    paths = [str(item) for item in items if isinstance(item, (str, os.PathLike))]
    return list_items(
        "list",
        len(items),
        items.__getitem__,
        options,
        name="images",
        names=paths if len(paths) == len(items) else None,
        check_twice=False,
    )


def _is_pair(items: list[Any]) -> bool:
    """Whether it is what others call ``(X, y)``."""
    shapes = [
        np.shape(item) if hasattr(item, "__array__") or isinstance(item, list) else ()
        for item in items
    ]
    return len(items) == 2 and len(shapes[0]) >= 3 and shapes[1] == shapes[0][:1]


def _paths(thing: Any, n: int) -> list[str] | None:
    """The names of files, where a data set knows them as torchvision's folders do."""
    samples = getattr(thing, "samples", None)
    if not isinstance(samples, list) or len(samples) != n:
        return None
    paths = [sample[0] if isinstance(sample, tuple) else sample for sample in samples]
    if not all(isinstance(path, (str, os.PathLike)) for path in paths):
        return None
    root = getattr(thing, "root", None)
    return [
        Path(path).relative_to(root).as_posix()
        if root is not None and Path(path).is_relative_to(root)
        else str(path)
        for path in paths
    ]
