"""`find_copies`: which images of one set or of several are copies of each other, and of what
kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.images.duplicates.alignment import Alignment, Reduced, align
from residua.images.duplicates.candidates import Candidates, find_candidates
from residua.images.duplicates.codes import encode
from residua.images.duplicates.cutoff import reach_of
from residua.images.duplicates.kinds import kind_of
from residua.images.duplicates.reencoding import Blocks, blocks_of, is_reencoded
from residua.images.imageset import ImageSet

# How well details have to agree, at these shares of the reach: hardly at all where coarse forms are
# the same (strong compression spoils details), better the further apart those are, and beyond as
# well as the data ask.
_SHARES, _DETAILS = (0.2, 0.667), (0.3, 0.8)
# Beyond the reach details have to agree far better than those of other pictures ever do: by so much
# more in Fisher's z than 99 in 100 of them. Of 4,400 pairs of near but different clothes the best
# agreed to .980, where this asks for .987.
_FURTHER, _FEWEST_OTHERS = 1.2, 30
# Noise that agrees better than that of others by so much is the same noise; of so few pixels it has
# to agree by half at least.
_NOISE_FURTHER, _SHARED = 0.8, 0.5
# times the distance at which others begin: nearer pairs may be one picture before and after JPEG
_CODED = 0.6
_MOST_BEYOND, _MOST_BEYOND_SHARE = 2000, 0.1
_AT_THE_REACH = 0.99
_EACH = 4
_FEW_SMALL = 0.002
_LEAST_CONTRAST = 1e-3
Progress = Callable[[int, int], None]


class Copy(NamedTuple):
    """Two images, by their rows, that show the same picture; ``ratio`` is their distance, 1 where
    other pictures begin.
    """

    first: int
    second: int
    kind: str
    ratio: float


@dataclass(frozen=True)
class Copies:
    """What `find_copies` found among n images.

    ``pairs`` has the nearest first; ``groups`` (n,) gives for each image the row of the first image
    of its group, its own where it is alone. ``details_needed`` is the correlation of fine details
    that the data asked of a doubtful pair.
    """

    pairs: tuple[Copy, ...]
    groups: NDArray[np.int64]
    details_needed: float

    def members(self) -> list[NDArray[np.int64]]:
        """The rows of each group of two images or more, the largest group first."""
        order = np.argsort(self.groups, kind="stable")
        firsts = np.unique(self.groups[order], return_index=True)[1]
        several = [rows for rows in np.split(order, firsts[1:]) if len(rows) > 1]
        return sorted(several, key=len, reverse=True)


def find_copies(
    images: ImageSet | Sequence[ImageSet],
    *,
    seed: int = 0,
    only_exact: bool = False,
    progress: Progress | None = None,
) -> Copies:
    """Find images that are one picture: exact, re-encoded, resized, brightened, slightly cropped,
    flipped or rotated copies.

    Candidates are nearest neighbours of low frequencies, of every image and of 35 crops of it (up
    to about 8% off a side). How near a copy has to be, the data say: well below the distance of the
    20th neighbour there, and where that is not far below, with fine details, laid on each other
    pixel by pixel, that agree better than those of the data's near but different images do. What
    lies further away is a copy only if its details agree all but perfectly. So classes of similar
    images (digits, shirts) are no copies. Images that show nothing are no copies of each other.
    Work grows about linearly.

    Parameters
    ----------
    images : ImageSet or several
        Several are searched as one: rows count through.
    seed : int
        Of the points that cells are drawn around; hardly anything depends on it.
    only_exact : bool
        Look for exact copies alone, by the digests that loading has made: one image of each group
        is read.
    progress : callable, optional
        Called with (done, total).

    Examples
    --------
    >>> pictures = np.random.default_rng(0).integers(0, 200, (40, 24, 24)).astype(np.uint8)
    >>> images = ImageSet.from_arrays(
    ...     np.concatenate([pictures, pictures[3:4, :, ::-1], pictures[5:6] // 2])
    ... )
    >>> [(copy.first, copy.second, copy.kind) for copy in sorted(find_copies(images).pairs)]
    [(3, 40, 'flipped'), (5, 41, 'brightened')]
    """
    sets = [images] if isinstance(images, ImageSet) else list(images)
    n = sum(len(one) for one in sets)
    exact = _shown(sets, _exact(sets))
    near, needed = (
        ([], _DETAILS[-1])
        if only_exact
        else _near(sets, np.flatnonzero(exact == np.arange(n)), seed, progress)
    )
    copied = np.flatnonzero(exact != np.arange(n))
    same = [Copy(int(exact[row]), int(row), "exact", 0.0) for row in copied]
    pairs = tuple(sorted([*same, *near], key=lambda copy: copy.ratio))
    return Copies(pairs, _joined(n, pairs), needed)


def _near(
    sets: Sequence[ImageSet], rows: NDArray[np.int64], seed: int, progress: Progress | None
) -> tuple[list[Copy], float]:
    """Copies that are not exact among the distinct images `rows`, and the correlation of details
    asked of doubtful ones.
    """
    codes = encode(_read(sets, rows, progress), len(rows))
    contrast = np.sqrt(np.square(codes).sum(axis=(1, 2)) - np.square(codes[:, 0, 0]))
    rows, codes = rows[contrast > _LEAST_CONTRAST], codes[contrast > _LEAST_CONTRAST]
    if len(rows) < 2:
        return [], _DETAILS[-1]
    sides = np.concatenate([one.sizes.min(axis=1) for one in sets])[rows]
    candidates = find_candidates(
        codes, shortest_side=int(np.quantile(sides, _FEW_SMALL)), seed=seed, on_step=progress
    )
    return _verified(sets, rows, candidates, seed, progress)


def _exact(sets: Sequence[ImageSet]) -> NDArray[np.int64]:
    """For each image the row of the first one with the same pixels."""
    digests = np.ascontiguousarray(np.concatenate([one.pixel_digests for one in sets])).view(
        np.uint64
    )
    _, first, place = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    return np.asarray(first[place.ravel()], np.int64)


def _shown(sets: Sequence[ImageSet], firsts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same without images of one value throughout: they are equal because they show nothing."""
    rows = np.arange(len(firsts))
    several = np.unique(firsts[firsts != rows])
    flat = [
        row
        for row, image in zip(several, _read(sets, several, None), strict=True)
        if not np.ptp(image, axis=(0, 1)).any()
    ]
    return np.where(np.isin(firsts, flat), rows, firsts)


def _read(
    sets: Sequence[ImageSet], rows: NDArray[np.int64], progress: Progress | None
) -> Iterator[NDArray[np.generic]]:
    done, start = 0, 0
    for one in sets:
        own = rows[(rows >= start) & (rows < start + len(one))] - start
        start += len(one)
        for batch in one[own].batches(512):
            yield from batch
            done += len(batch)
            if progress is not None:
                progress(done, len(rows))


def _verified(
    sets: Sequence[ImageSet],
    rows: NDArray[np.int64],
    candidates: tuple[Candidates, Candidates],
    seed: int,
    progress: Progress | None,
) -> tuple[list[Copy], float]:
    """Those candidates that their pixels confirm, and the correlation of details that the data ask
    of doubtful ones.
    """
    found, place = candidates[0].best(), _Place(sets)

    def aligned(pairs: Candidates, index: int) -> Alignment:
        first, second = (place[int(rows[row])] for row in pairs.pairs[index])
        return align(first, second, int(pairs.turn[index]), pairs.cut[index])

    near = [
        aligned(found, index).details
        for index in _some(np.flatnonzero(found.ratio > 0.5), seed).tolist()
    ]
    others = [aligned(candidates[1], index) for index in range(len(candidates[1]))]
    demands = _Demands.of(reach_of(found.pairs, found.ratio, len(rows)), near, others)
    n_within = int(np.searchsorted(found.ratio, demands.reach, side="right"))
    n_beyond = max(_MOST_BEYOND, round(_MOST_BEYOND_SHARE * len(rows))) if demands.beyond < 1 else 0
    possible = _few_each(found, np.arange(min(len(found), n_within + n_beyond)))
    copies = []
    for done, index in enumerate(possible.tolist(), start=1):
        result, ratio = aligned(found, index), float(found.ratio[index])
        first, second = sorted(int(rows[row]) for row in found.pairs[index])
        is_copy = demands.are_met(result, ratio)
        if not is_copy and demands.may_be_reencoded(result, ratio):
            is_copy = is_reencoded(place.blocks(first), place.blocks(second))
        if is_copy:
            copies.append(Copy(first, second, kind_of(result), ratio))
        if progress is not None:
            progress(done, len(possible))
    return copies, demands.needed


@dataclass(frozen=True)
class _Demands:
    """What the data ask of a pair: how near it has to be, how well details have to agree, and how
    well noise.
    """

    reach: float
    needed: float
    beyond: float
    noise: float

    @classmethod
    def of(cls, reach: float, near: Sequence[float], others: Sequence[Alignment]) -> _Demands:
        """By the details of near pairs, most of which are of other pictures, and by pairs that are
        all but surely of others.
        """
        noise = [one.noise.correlation for one in others if not math.isnan(one.noise.correlation)]
        beyond = _above(_almost_all([one.details for one in others]), _FURTHER)
        shared = max(_SHARED, _above(_almost_all(noise), _NOISE_FURTHER))
        return cls(reach, min(beyond, _needed(_almost_all(near))), beyond, shared)

    def are_met(self, pair: Alignment, ratio: float) -> bool:
        """Two photographs of parts of one shape are no copies, however well their edges agree; what
        shares its noise is one.
        """
        if pair.noise.is_independent:
            return False
        return pair.details >= self._details(ratio) or pair.noise.correlation >= self.noise

    def may_be_reencoded(self, pair: Alignment, ratio: float) -> bool:
        """JPEG takes the noise out of small pictures and spoils their details."""
        return ratio <= _CODED and pair.turn == 0 and not pair.noise.is_independent

    def _details(self, ratio: float) -> float:
        """How well details have to agree at that distance: the better, the further apart the
        pictures are.
        """
        if ratio > self.reach:
            return self.beyond
        share = ratio / self.reach
        if share <= _SHARES[-1]:
            return float(np.interp(share, _SHARES, _DETAILS))
        return float(
            np.interp(
                share,
                (_SHARES[-1], 1.0),
                (self.needed, max(self.needed, min(self.beyond, _AT_THE_REACH))),
            )
        )


def _almost_all(values: Sequence[float]) -> float | None:
    """The 99% quantile; None of too few."""
    return float(np.quantile(values, 0.99)) if len(values) >= _FEWEST_OTHERS else None


def _above(correlation: float | None, further: float) -> float:
    """A correlation that is larger by `further` in Fisher's z; 1, which no pair has, where nothing
    is known.
    """
    return (
        1.0
        if correlation is None
        else float(np.tanh(np.arctanh(min(max(correlation, 0.0), 0.999999)) + further))
    )


def _needed(near: float | None) -> float:
    """By the details of near pairs, most of which are of other pictures."""
    return 0.95 if near is None else float(np.clip(near, 0.9, 0.98))


def _some(rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).choice(rows, min(500, len(rows)), replace=False)


def _few_each(found: Candidates, possible: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each image the four nearest possible copies: groups join through them, and a thousand
    copies make no million pairs.
    """
    seen: dict[int, int] = {}
    kept = []
    for index in possible.tolist():
        first, second = found.pairs[index].tolist()
        if min(seen.get(first, 0), seen.get(second, 0)) < _EACH:
            kept.append(index)
            seen[first], seen[second] = seen.get(first, 0) + 1, seen.get(second, 0) + 1
    return np.asarray(kept, np.int64)


class _Place:
    """Images of several sets by one row number, reduced; the last few thousand are kept."""

    def __init__(self, sets: Sequence[ImageSet]) -> None:
        self._sets = sets
        self._starts = np.cumsum([0, *(len(one) for one in sets)])
        self._read = lru_cache(4096)(self._reduced)
        self.blocks = lru_cache(4096)(self._blocks)

    def __getitem__(self, row: int) -> Reduced:
        return self._read(row)

    def _blocks(self, row: int) -> Blocks | None:
        return blocks_of(self._image(row))

    def _image(self, row: int) -> NDArray[np.generic]:
        which = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._sets[which][row - int(self._starts[which])]

    def _reduced(self, row: int) -> Reduced:
        return Reduced.of(self._image(row))


def _joined(n: int, pairs: Sequence[Copy]) -> NDArray[np.int64]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if n == 0:
        return np.zeros(0, np.int64)
    ends = np.asarray([(copy.first, copy.second) for copy in pairs], np.int64).reshape(-1, 2)
    edges = coo_array((np.ones(len(ends), np.bool_), (ends[:, 0], ends[:, 1])), shape=(n, n))
    label = connected_components(edges, directed=False)[1]
    return np.asarray(np.unique(label, return_index=True)[1][label], np.int64)
