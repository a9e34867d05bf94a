"""Groups of near-twins: photographs of one thing under other light, which must not lie on both sides of a split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from residua.errors import RangeError
from residua.images.columns import strings
from residua.images.imageset import ImageSet
from residua.images.resize import resize

_SIDE = 32
_ROWS = 1024


def group_twins(images: ImageSet, *, threshold: float = 0.95) -> NDArray[np.object_]:
    """Group images whose 32x32 grey reductions correlate above `threshold`, and whatever such pairs join together.

    Correlation ignores brightness and contrast, so that exposures of one part fall together. Pairs join transitively: a
    threshold too low for the data ends in one huge group, so look at the sizes. An image without contrast has no twin.

    Returns
    -------
    object array of str, (n_images,)
        The path of the first image of each group: what the column ``group`` of a manifest wants.

    Raises
    ------
    RangeError
        If `threshold` does not lie between 0 and 1.

    Examples
    --------
    >>> tile = np.random.default_rng(0).integers(0, 200, (2, 40, 40)).astype(np.uint8)
    >>> images = ImageSet.from_arrays(np.stack([tile[0], tile[1], tile[0] // 2 + 9]), paths=["a", "b", "a darker"])
    >>> group_twins(images).tolist()
    ['a', 'b', 'a']
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not 0 < threshold < 1:
        raise RangeError(f"group_twins: threshold must lie between 0 and 1. Got {threshold}. Leave it out for 0.95.")
    vectors = _standardised(images)
    n = len(vectors)
    member = np.arange(n)
    for start in range(0, n, _ROWS):
        rows, columns = np.nonzero(vectors[start : start + _ROWS] @ vectors.T > threshold)
        # What earlier blocks joined goes in as one edge an image, so memory stays bounded by a block.
        ends = np.concatenate([rows + start, np.arange(n)]), np.concatenate([columns, member])
        labels = connected_components(coo_array((np.ones(len(ends[0]), np.bool_), ends), shape=(n, n)), directed=False)[1]
        member = np.unique(labels, return_index=True)[1][labels]
    return strings(images.paths[member]) if n else strings([])


def _standardised(images: ImageSet) -> NDArray[np.float32]:
    """Grey 32x32 reductions as unit vectors of mean 0, (n, 1024); all zeros for an image without contrast."""
    small = (
        np.stack([resize(image, (_SIDE, _SIDE)).mean(axis=2).ravel() for image in images]) if len(images) else np.zeros((0, 1))
    )
    small = small - small.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(small, axis=1, keepdims=True)
    return np.asarray(np.divide(small, norms, out=np.zeros_like(small), where=norms > 1e-6), np.float32)
