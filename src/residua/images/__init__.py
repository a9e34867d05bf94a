"""Images from a SOURCE: reading, decoding, quarantine of what does not decode, splits, fingerprints.

`load_images` gives an `ImageSet`; `write_manifest` lists images that lie in no
supported layout, and `group_twins` says which of them must not be parted.
"""

from __future__ import annotations

from residua.images.imageset import ImageSet
from residua.images.listing import Quarantined
from residua.images.loading import load_images
from residua.images.resize import resize, resize_weights
from residua.images.sources.manifest import write_manifest
from residua.images.twins import group_twins

__all__ = ["ImageSet", "Quarantined", "group_twins", "load_images", "resize", "resize_weights", "write_manifest"]
