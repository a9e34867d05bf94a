"""Groups of copies as a manifest wants them: photographs of one thing, which must not lie on both
sides of a split.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from residua.images.columns import strings
from residua.images.duplicates.search import Progress, find_copies
from residua.images.imageset import ImageSet


def group_twins(
    images: ImageSet, *, seed: int = 0, progress: Progress | None = None
) -> NDArray[np.object_]:
    """Group the images that `find_copies` finds to be one picture, and whatever such pairs join
    together.

    Brightness and contrast make no difference, nor does a narrow crop, so that exposures of one
    part fall together.

    Returns
    -------
    object array of str, (n_images,)
        The path of the first image of each group: what the column ``group`` of a manifest wants.

    Examples
    --------
    >>> tile = np.random.default_rng(0).integers(0, 200, (2, 40, 40)).astype(np.uint8)
    >>> images = ImageSet.from_arrays(
    ...     np.stack([tile[0], tile[1], tile[0] // 2 + 9]), paths=["a", "b", "a darker"]
    ... )
    >>> group_twins(images).tolist()
    ['a', 'b', 'a']
    """
    return (
        strings(images.paths[find_copies(images, seed=seed, progress=progress).groups])
        if len(images)
        else strings([])
    )
