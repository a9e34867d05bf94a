"""Images from a SOURCE.

Reading, decoding, quarantine of what does not decode, splits, fingerprints.

`load_images` gives an `ImageSet`. `write_manifest` lists images that lie in no supported layout.
`search_duplicates` says which images show one picture, and `group_duplicates` which of them have to
stay in one part.
"""

from __future__ import annotations

from residua.images.duplicates import DuplicatePair, Duplicates, group_duplicates, search_duplicates
from residua.images.groups import Grouping
from residua.images.imageset import ImageSet
from residua.images.listing import Quarantined
from residua.images.loading import load_images
from residua.images.resize import resize, resize_weights
from residua.images.sources.manifest import write_manifest

__all__ = [
    "DuplicatePair",
    "Duplicates",
    "Grouping",
    "ImageSet",
    "Quarantined",
    "group_duplicates",
    "load_images",
    "resize",
    "resize_weights",
    "search_duplicates",
    "write_manifest",
]
