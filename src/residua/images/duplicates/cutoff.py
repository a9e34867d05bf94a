"""How near two images have to be to be copies: read off the pairs of the data itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A copy lies within `_LARGEST_CUTOFF` of the distance at which other pictures begin, and nearer
# where the data are so regular that others come as near: the pairs in an outer band say how many
# others lie within.
_LARGEST_CUTOFF, _STEP = 0.42, 0.03
_BANDS = (0.5, 0.65, 0.8)  # ratios of distance between which pairs are counted
# Pairs for an estimate, ways without one, outer band in cutoffs.
_FEWEST, _FEW_WAYS, _BEYOND = 20, 3.0, 1.4
_MOST_OTHERS, _MOST_WRONG = 0.01, 0.03  # share of the images, share of the pairs
_CLOSED, _FEWEST_TRIPLES, _LARGEST, _LARGEST_SHARE = 0.9, 30, 20, 0.05


def cutoff_of(pairs: NDArray[np.int64], ratio: NDArray[np.float32], n_images: int) -> float:
    """The largest cutoff within which few pairs are of *other* pictures, by one of two signs.

    Either those just beyond are few: the number of pairs of others grows with distance like ``r **
    m``, m being how many ways the data vary, so pairs between a cutoff and 1.4 times it tell how
    many lie within (at most 1% of the images may, and 3% of the pairs); m comes from the pairs
    between .5 and .8, and is at least 3. Or the pairs are close-knit: of two copies of one picture
    each is a copy of the other, while chains of neighbours lead ever further away. Pictures of a
    blob that only moves have others at every distance, in chains; clothes (m about 6) have few near
    ones; six photographs of a part have many, but each with all.

    Parameters
    ----------
    pairs : int array, (p, 2)
    ratio : float array, (p,)
        Distance of each pair, 1 where other pictures begin.
    n_images : int

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> pairs = rng.integers(0, 1000, (2000, 2))
    >>> [round(cutoff_of(pairs, 0.8 * rng.random(2000) ** (1 / m), 1000), 2) for m in (2, 6, 12)]
    [0.06, 0.33, 0.42]
    """
    low, middle, high = _BANDS
    inner, outer = (
        int(((ratio >= a) & (ratio < b)).sum()) for a, b in ((low, middle), (middle, high))
    )
    ways = np.linspace(_FEW_WAYS, 30, 600)
    expected = (high**ways - middle**ways) / (middle**ways - low**ways)
    m = (
        float(np.interp(outer / max(inner, 1), expected, ways))
        if inner + outer >= _FEWEST
        else _FEW_WAYS
    )
    for cutoff in np.arange(_LARGEST_CUTOFF, 0, -_STEP).tolist():
        within, beyond = (
            int((ratio <= cutoff).sum()),
            int(((ratio > cutoff) & (ratio <= _BEYOND * cutoff)).sum()),
        )
        if beyond / (_BEYOND**m - 1) <= _MOST_OTHERS * n_images + _MOST_WRONG * within:
            return float(cutoff)
        if beyond <= within and _is_close_knit(pairs, ratio, cutoff, n_images):
            return float(cutoff)
    return 0.0


def _is_close_knit(
    pairs: NDArray[np.int64], ratio: NDArray[np.float32], cutoff: float, n: int
) -> bool:
    """Whether most neighbours of an image are neighbours of each other.

    No chain may run through all.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    def graph(most: float) -> csr_array:
        first, second = pairs[ratio <= most].T
        both = np.concatenate([first, second]), np.concatenate([second, first])
        return csr_array((np.ones(len(both[0]), np.float32), both), shape=(n, n))

    near = graph(cutoff)
    label = connected_components(near, directed=False)[1]
    if np.bincount(label).max() > max(_LARGEST, _LARGEST_SHARE * n):
        return False
    steps = near @ near
    triples = float(steps.sum() - steps.diagonal().sum())
    return (
        triples >= _FEWEST_TRIPLES
        and float(steps.multiply(graph(_BEYOND * cutoff) > 0).sum()) >= _CLOSED * triples
    )
