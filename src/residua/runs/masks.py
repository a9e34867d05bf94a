"""What a report keeps of the images it shows: bytes, and where their masks are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from residua.images import ImageSet
from residua.images.resize import fit_to

# of a picture's pixel that has to be defective to be outlined: thin cracks stay visible
_MASK_SHARE = 0.25


def as_bytes(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Images in [0, 1] as bytes; what lies outside is cut off."""
    return np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)


def shown_masks(
    images: ImageSet, size: tuple[int, int], *, keep_aspect: bool = False
) -> NDArray[np.bool_]:
    """The masks of `images` as pictures of `size` show them, (n_images, *size); an image without
    one has no pixel in it.
    """
    masks = np.zeros((len(images), *size), np.bool_)
    for row, mask in enumerate(images.masks):
        if mask is not None:
            one = fit_to(
                mask.astype(np.float32)[np.newaxis, :, :, np.newaxis], size, keep_aspect=keep_aspect
            )
            masks[row] = one[0, :, :, 0] > _MASK_SHARE
    return masks
