"""When a pair of images counts as duplicates, and of what kind: limits estimated from the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from residua.images.duplicates.alignment import Alignment
from residua.images.duplicates.similarity import TURNS

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

    - `pairs`: int array, (p, 2).
    - `ratio`: float array, (p,). Distance of each pair, 1 where other pictures begin.

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
    """Whether an image's neighbours are each other's: no chain may run through all."""
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


# How well details have to agree, at these shares of the cutoff: hardly at all where coarse forms
# are the same (strong compression spoils details), better the further apart those are, and beyond
# as well as the data ask.
_SHARES, DETAILS = (0.2, 0.667), (0.3, 0.8)
# Beyond the cutoff details have to agree far better than those of other pictures ever do: by so
# much more in Fisher's z than 99 in 100 of them. Of 4,400 pairs of near but different clothes the
# best agreed to .980, where this asks for .987.
_FURTHER, _FEWEST_OTHERS = 1.2, 30
# Noise that agrees better than that of others by so much is the same noise; of so few pixels it has
# to agree by half at least.
_NOISE_FURTHER, _SHARED = 0.8, 0.5
# times the distance at which others begin: nearer pairs may be one picture before and after JPEG
_CODED = 0.6
_AT_THE_CUTOFF = 0.99  # correlation of details asked at the cutoff, at most
KINDS = ("exact", "re-encoded", "resized", "brightened", "cropped", "flipped", "rotated")
_CUT = 0.02  # share of a side that has to be missing to count as cropped
_CONTRAST, _BRIGHTNESS = 0.1, 0.02


@dataclass(frozen=True)
class PairCriteria:
    """What the data ask of a pair: nearness, and how well details and noise agree."""

    cutoff: float
    needed: float
    beyond: float
    noise: float

    @classmethod
    def of(cls, cutoff: float, near: Sequence[float], others: Sequence[Alignment]) -> PairCriteria:
        """The criteria, from pairs that are mostly or surely of other pictures.

        `near` are the details of near pairs, `others` alignments of pairs far down the list.
        """
        noise = [one.noise.correlation for one in others if not math.isnan(one.noise.correlation)]
        beyond = _above(_almost_all([one.details for one in others]), _FURTHER)
        shared = max(_SHARED, _above(_almost_all(noise), _NOISE_FURTHER))
        return cls(cutoff, min(beyond, _needed(_almost_all(near))), beyond, shared)

    def are_met(self, pair: Alignment, ratio: float) -> bool:
        """Photographs of parts of one shape are no copies; what shares its noise is one."""
        if pair.noise.is_independent:
            return False
        return pair.details >= self._details(ratio) or pair.noise.correlation >= self.noise

    def may_be_reencoded(self, pair: Alignment, ratio: float) -> bool:
        """JPEG takes the noise out of small pictures and spoils their details."""
        return ratio <= _CODED and pair.turn == 0 and not pair.noise.is_independent

    def _details(self, ratio: float) -> float:
        """How well details have to agree at that distance: the better, the larger it is."""
        if ratio > self.cutoff:
            return self.beyond
        share = ratio / self.cutoff
        return (
            float(np.interp(share, _SHARES, DETAILS))
            if share <= _SHARES[-1]
            else float(
                np.interp(
                    share,
                    (_SHARES[-1], 1.0),
                    (self.needed, max(self.needed, min(self.beyond, _AT_THE_CUTOFF))),
                )
            )
        )


def _almost_all(values: Sequence[float]) -> float | None:
    """The 99% quantile; None of too few."""
    return float(np.quantile(values, 0.99)) if len(values) >= _FEWEST_OTHERS else None


def _above(correlation: float | None, further: float) -> float:
    """A correlation larger by `further` in Fisher's z; 1, which none has, for unknown."""
    return (
        1.0
        if correlation is None
        else float(np.tanh(np.arctanh(min(max(correlation, 0.0), 0.999999)) + further))
    )


def _needed(near: float | None) -> float:
    """By the details of near pairs, most of which are of other pictures."""
    return 0.95 if near is None else float(np.clip(near, 0.9, 0.98))


def kind_of(alignment: Alignment) -> str:
    """The kinds that apply, joined by `` + ``.

    ``re-encoded`` where nothing but the pixels' last digits changed.

    ``brightened`` means other brightness or contrast, either way.
    """
    transposed, vertical, horizontal = TURNS[alignment.turn]
    left, right, top, bottom = alignment.cut
    (height, width), (other_height, other_width) = alignment.sizes
    is_cut = max(abs(left) + abs(right), abs(top) + abs(bottom)) > _CUT
    is_other_size = (height, width) != (other_height, other_width)
    # A cut alone leaves a smaller picture: resized is what its size can't explain.
    expected = height * (1 - top - bottom), width * (1 - left - right)
    is_resized = (
        is_other_size and max(abs(expected[0] - other_height), abs(expected[1] - other_width)) > 1.5
    )
    is_brighter = (
        abs(math.log(max(alignment.contrast, 1e-6))) > _CONTRAST
        or abs(alignment.brightness) > _BRIGHTNESS
    )
    told = {
        "rotated": transposed or (vertical and horizontal),
        "flipped": (vertical + horizontal) % 2 == 1 if not transposed else vertical == horizontal,
        "cropped": is_cut,
        "resized": is_resized,
        "brightened": is_brighter,
    }
    return " + ".join(kind for kind, applies in told.items() if applies) or "re-encoded"
