"""What images look like from afar.

Their sizes and brightness, as ranges that a later image is compared with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.images.imageset import ImageSet


def brightness(image: NDArray[Any]) -> float:
    """Mean value of an image (h, w, c), uint8 or float in [0, 1], in [0, 1].

    Examples
    --------
    >>> brightness(np.full((2, 2, 1), 51, np.uint8))
    0.2
    """
    return round(float(image.mean(dtype=np.float64)) / (255 if image.dtype == np.uint8 else 1), 6)


def looks_of(images: ImageSet) -> dict[str, Any]:
    """``n``, and [smallest, largest] of ``height``, ``width`` and ``brightness``.

    Only ``n`` for no images.

    Examples
    --------
    >>> looks_of(ImageSet.from_arrays(np.array([np.zeros((8, 9)), np.full((8, 9), 255)], np.uint8)))
    {'n': 2, 'height': [8, 8], 'width': [9, 9], 'brightness': [0.0, 1.0]}
    """
    if not len(images):
        return {"n": 0}
    light = [brightness(image) for image in images]
    low, high = images.sizes.min(axis=0).tolist(), images.sizes.max(axis=0).tolist()
    return {
        "n": len(images),
        "height": [low[0], high[0]],
        "width": [low[1], high[1]],
        "brightness": [min(light), max(light)],
    }
