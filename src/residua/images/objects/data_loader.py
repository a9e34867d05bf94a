"""torch's ``DataLoader``: its data set where it reads that in order, else its batches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from residua.errors import SourceError
from residua.images.listing import Listing, Options
from residua.images.objects import sequences
from residua.images.objects.items import list_in_memory

_IN_ORDER = {"SequentialSampler", "RandomSampler"}


def recognises(thing: Any) -> bool:
    """An object with a data set, a sampler and a way to collate batches."""
    return all(hasattr(thing, name) for name in ("dataset", "sampler", "collate_fn", "__iter__"))


def read(thing: Any, options: Options) -> Listing:
    """All images of the data set, in its own order and read as they are needed.

    Batches are kept in memory where the loader collates or samples by rules of its own. Raises
    SourceError if those batches are drawn at random: nobody could say which score is whose.
    """
    sampler = type(thing.sampler).__name__
    is_torchs = str(thing.collate_fn.__module__).startswith("torch.utils.data")
    if is_torchs and sampler in _IN_ORDER and _takes_all(thing):
        listing = sequences.read(thing.dataset, options)
        shuffled = (
            ["the loader shuffles: images are in the order of its data set"]
            if sampler == "RandomSampler"
            else []
        )
        return replace(listing, notes=[*listing.notes, *shuffled])
    batches = getattr(thing, "batch_sampler", None)
    drawn = type(getattr(batches, "sampler", thing.sampler)).__name__
    if "Random" in drawn or getattr(thing.sampler, "shuffle", False):
        raise SourceError(
            "load_images: a DataLoader: must have an order, so that it is known which score is"
            f" whose. Got one that draws by {drawn} in batches of its own. Pass its dataset, or a"
            " Subset of it, which are read in order."
        )
    mend = "Pass the loader's dataset, which is read as needed"
    size = thing.batch_size or getattr(batches, "batch_size", 0)
    return list_in_memory("DataLoader", thing, options, "the DataLoader", mend, batch_size=size)


def _takes_all(loader: Any) -> bool:
    """Whether its sampler, in batches of torch's own kind, draws each item of the data set once."""
    sampler, batches = loader.sampler, getattr(loader, "batch_sampler", None)
    return (
        len(sampler) == len(loader.dataset)
        and not getattr(sampler, "replacement", False)
        and (batches is None or getattr(batches, "sampler", None) is sampler)
    )
