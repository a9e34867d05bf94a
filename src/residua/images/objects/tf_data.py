"""``tf.data.Dataset``: its elements as NumPy arrays, in memory, batched or not."""

from __future__ import annotations

from typing import Any

from residua.images.listing import Listing, Options
from residua.images.objects.items import list_in_memory


def recognises(thing: Any) -> bool:
    """An object that gives NumPy arrays by ``as_numpy_iterator``."""
    return callable(getattr(thing, "as_numpy_iterator", None))


def read(thing: Any, options: Options) -> Listing:
    """All elements, in the order in which they come."""
    mend = "Save the images as files, or pass fewer: take(n)"
    items = thing.as_numpy_iterator()
    return list_in_memory("tf.data Dataset", items, options, "the tf.data Dataset", mend)
