"""Images from a SOURCE: reading, decoding, quarantine of what does not decode, splits,
fingerprints.

`load_images` gives an `ImageSet`; `write_manifest` lists images that lie in no
supported layout, `find_copies` says which are one picture, and `group_twins` which must not be
parted.
"""

from __future__ import annotations

from residua.images.duplicates import Copies, Copy, find_copies, group_twins
from residua.images.imageset import ImageSet
from residua.images.listing import Quarantined
from residua.images.loading import load_images
from residua.images.resize import resize, resize_weights
from residua.images.sources.manifest import write_manifest

__all__ = [
    "Copies",
    "Copy",
    "ImageSet",
    "Quarantined",
    "find_copies",
    "group_twins",
    "load_images",
    "resize",
    "resize_weights",
    "write_manifest",
]
