"""``tf.data.Dataset``: its elements as NumPy arrays, in memory, batched or not."""

from __future__ import annotations

from typing import Any

from residua.images.listing import Listing, Options
from residua.images.objects.items import in_memory, list_items


def recognises(thing: Any) -> bool:
    """An object that gives NumPy arrays by ``as_numpy_iterator``."""
    return callable(getattr(thing, "as_numpy_iterator", None))


def read(thing: Any, options: Options) -> Listing:
    """All elements, in the order in which they come."""
    mend = "Save the images as files, or pass fewer: take(n)"
    items = in_memory(thing.as_numpy_iterator(), options, "the tf.data Dataset", mend)
    return list_items(
        "tf.data Dataset", len(items), items.__getitem__, options, name="item", check_twice=False
    )
