"""One image of Pillow: a set of one image, for scoring."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PIL import Image

from residua.images.listing import Listing, Options
from residua.images.objects.items import list_items


def recognises(thing: Any) -> bool:
    """An image of Pillow."""
    return isinstance(thing, Image.Image)


def read(thing: Any, options: Options) -> Listing:
    """The one image, in the part test: there is nothing to train on."""
    listing = list_items("image", 1, lambda _: thing, options, name="image", check_twice=False)
    return replace(listing, splits=["test"])
