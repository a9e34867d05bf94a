"""torch's ``DataLoader``: its data set where it reads that in order, else its batches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from residua.images.listing import Listing, Options
from residua.images.objects import sequences
from residua.images.objects.items import in_memory, list_items

_IN_ORDER = {"SequentialSampler", "RandomSampler"}


def recognises(thing: Any) -> bool:
    """An object with a data set, a sampler and a way to collate batches."""
    return all(hasattr(thing, name) for name in ("dataset", "sampler", "collate_fn", "__iter__"))


def read(thing: Any, options: Options) -> Listing:
    """All images of the data set, in its own order and read as they are needed.

    Batches are kept in memory where the loader collates or samples by rules of its own.
    """
    sampler = type(thing.sampler).__name__
    if sampler in _IN_ORDER and thing.collate_fn.__module__.startswith("torch.utils.data"):
        listing = sequences.read(thing.dataset, options)
        shuffled = (
            ["the loader shuffles: images are in the order of its data set"]
            if sampler == "RandomSampler"
            else []
        )
        return replace(listing, notes=[*listing.notes, *shuffled])
    mend = "Pass the loader's dataset, which is read as needed"
    items = in_memory(thing, options, "the DataLoader", mend)
    return list_items(
        "DataLoader", len(items), items.__getitem__, options, name="item", check_twice=False
    )
