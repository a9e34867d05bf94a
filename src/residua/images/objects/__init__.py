"""The kinds of Python object that hold images, one file each.

A new kind is a file with `recognises` and `read`, and its name in `OBJECTS`. None of them imports
the library whose objects it reads.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

from residua.errors import SourceError
from residua.images.listing import Listing, Options
from residua.images.objects import (
    arrays,
    data_loader,
    frames,
    hugging_face,
    sequences,
    single_image,
    tf_data,
)


class ObjectKind(Protocol):
    """A kind of object: whether it knows one, and the images in it."""

    def recognises(self, thing: Any) -> bool:
        """Whether `thing` is of this kind; looks at its type and attributes only."""

    def read(self, thing: Any, options: Options) -> Listing:
        """List what it holds; images are read later where the object can give them by number."""


# The first that recognises an object reads it, from the most particular to the least.
OBJECTS = cast(
    "tuple[ObjectKind, ...]",
    (single_image, arrays, hugging_face, frames, data_loader, tf_data, sequences),
)


def list_object(thing: Any, options: Options) -> Listing:
    """What an object holds, by the first kind that recognises it; `SourceError` if none does."""
    kind = next((kind for kind in OBJECTS if kind.recognises(thing)), None)
    if kind is None:
        raise SourceError(
            "load_images: a source must be a path, an array or tensor, a list of images, a torch"
            " Dataset or DataLoader, a Hugging Face Dataset, a tf.data Dataset, or a data frame."
            f" Got {type(thing).__module__}.{type(thing).__qualname__}. Convert it to one of those,"
            " such as a list of PIL images."
        )
    return kind.read(thing, options)
