"""Search for duplicates among the images of one set or of several."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.images.columns import strings
from residua.images.duplicates.alignment import Alignment, ReducedImage, align
from residua.images.duplicates.candidates import Candidates, find_candidates
from residua.images.duplicates.criteria import DETAILS, PairCriteria, cutoff_of, kind_of
from residua.images.duplicates.reencoding import blocks_of, is_reencoded
from residua.images.duplicates.similarity import encode
from residua.images.imageset import ImageSet
from residua.images.listing import Progress

# Pairs beyond the cutoff that are aligned; share of the images.
_MOST_BEYOND, _MOST_BEYOND_SHARE = 2000, 0.1
_EACH = 4  # possible duplicates that are aligned per image
_FEW_SMALL = 0.002  # share of the images that may be smaller than the shortest side
_LEAST_CONTRAST = 1e-3  # below it an image shows nothing


class DuplicatePair(NamedTuple):
    """Rows of two images of one picture; ``ratio`` is 1 where other pictures begin."""

    first: int
    second: int
    kind: str
    ratio: float


@dataclass(frozen=True)
class Duplicates:
    """What `search_duplicates` found among n images.

    ``pairs`` has the nearest first; ``groups`` (n,) gives for each image the row of the first image
    of its group, its own where it is alone. ``details_needed`` is the correlation of fine details
    that the data asked of a doubtful pair.
    """

    pairs: tuple[DuplicatePair, ...]
    groups: NDArray[np.int64]
    details_needed: float

    def members(self) -> list[NDArray[np.int64]]:
        """The rows of each group of two images or more, the largest group first."""
        order = np.argsort(self.groups, kind="stable")
        firsts = np.unique(self.groups[order], return_index=True)[1]
        return sorted(
            [rows for rows in np.split(order, firsts[1:]) if len(rows) > 1], key=len, reverse=True
        )


def search_duplicates(
    images: ImageSet | Sequence[ImageSet],
    *,
    seed: int = 0,
    only_exact: bool = False,
    since: int = 0,
    progress: Progress | None = None,
) -> Duplicates:
    """Find images that are one picture.

    Exact, re-encoded, resized, brightened, slightly cropped, flipped or rotated copies.

    Candidates are nearest neighbours of low frequencies, of every image and of 35 crops of it (up
    to about 8% off a side). How near a copy has to be, the data say: well below the distance of the
    20th neighbour there, and where that is not far below, with fine details, laid on each other
    pixel by pixel, that agree better than those of the data's near but different images do. What
    lies further away is a copy only if its details agree all but perfectly. So classes of similar
    images (digits, shirts) are no copies. Images that show nothing are no copies of each other.
    Work grows about linearly. The same images searched once more cost nothing.

    Parameters
    ----------
    images : ImageSet or several
        Several are searched as one: rows count through.
    seed : int
        Of the points that cells are drawn around; hardly anything depends on it.
    only_exact : bool
        Look for exact copies alone, by the digests that loading has made: one image of each group
        is read.
    since : int
        Near copies are wanted of the images from this row on alone, among all.
    progress : callable, optional
        Called with (done, total).

    Examples
    --------
    >>> pictures = np.random.default_rng(0).integers(0, 200, (40, 24, 24)).astype(np.uint8)
    >>> images = ImageSet.from_arrays(
    ...     np.concatenate([pictures, pictures[3:4, :, ::-1], pictures[5:6] // 2])
    ... )
    >>> [(copy.first, copy.second, copy.kind) for copy in sorted(search_duplicates(images).pairs)]
    [(3, 40, 'flipped'), (5, 41, 'brightened')]
    """
    sets = [images] if isinstance(images, ImageSet) else list(images)
    seen = _mark(sets, seed, since, only_exact=only_exact)
    if seen not in _last:
        found = _searched(sets, seed, progress, since, only_exact=only_exact)
        found.groups.flags.writeable = False
        _last.clear()
        _last[seen] = found
    return _last[seen]


_last: dict[bytes, Duplicates] = {}  # a command that groups twins also checks the same images


def _mark(sets: Sequence[ImageSet], seed: int, since: int, *, only_exact: bool) -> bytes:
    """What a search depends on."""
    kinds = [(len(one), one.channels, one.dtype.name) for one in sets]
    mark = hashlib.sha256(repr((kinds, seed, since, only_exact)).encode())
    for one in sets:
        mark.update(np.ascontiguousarray(one.pixel_digests).data)
    return mark.digest()


def _searched(
    sets: Sequence[ImageSet],
    seed: int,
    progress: Progress | None,
    since: int,
    *,
    only_exact: bool,
) -> Duplicates:
    n = sum(len(one) for one in sets)
    exact = _shown(sets, _exact(sets))
    near, needed = (
        ([], DETAILS[-1])
        if only_exact
        else _near(sets, np.flatnonzero(exact == np.arange(n)), seed, progress, since)
    )
    copied = np.flatnonzero(exact != np.arange(n))
    same = [DuplicatePair(int(exact[row]), int(row), "exact", 0.0) for row in copied]
    pairs = tuple(sorted([*same, *near], key=lambda copy: copy.ratio))
    return Duplicates(pairs, _joined(n, pairs), needed)


def group_duplicates(
    images: ImageSet, *, seed: int = 0, progress: Progress | None = None
) -> NDArray[np.object_]:
    """Group images that show one picture, and all that such pairs join together.

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
    >>> group_duplicates(images).tolist()
    ['a', 'b', 'a']
    """
    return (
        strings(images.paths[search_duplicates(images, seed=seed, progress=progress).groups])
        if len(images)
        else strings([])
    )


def _near(
    sets: Sequence[ImageSet],
    rows: NDArray[np.int64],
    seed: int,
    progress: Progress | None,
    since: int,
) -> tuple[list[DuplicatePair], float]:
    """Duplicates that are not exact among `rows`, and the details asked of doubtful ones."""
    codes = encode(_read(sets, rows, progress), len(rows))
    contrast = np.sqrt(np.square(codes).sum(axis=(1, 2)) - np.square(codes[:, 0, 0]))
    rows, codes = rows[contrast > _LEAST_CONTRAST], codes[contrast > _LEAST_CONTRAST]
    if len(rows) < 2:
        return [], DETAILS[-1]
    sides = np.concatenate([one.sizes.min(axis=1) for one in sets])[rows]
    candidates = find_candidates(
        codes, shortest_side=int(np.quantile(sides, _FEW_SMALL)), seed=seed, on_step=progress
    )
    return _verified(sets, rows, candidates, seed, progress, since=since)


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
    *,
    since: int,
) -> tuple[list[DuplicatePair], float]:
    """The candidates that their pixels confirm, and the details asked of doubtful ones."""
    found, place = candidates[0].best(), _Place(sets)

    def aligned(pairs: Candidates, index: int) -> Alignment:
        first, second = (place.reduced(int(rows[row])) for row in pairs.pairs[index])
        return align(first, second, int(pairs.turn[index]), pairs.cut[index])

    near = [
        aligned(found, index).details
        for index in _some(np.flatnonzero(found.ratio > 0.5), seed).tolist()
    ]
    criteria = PairCriteria.of(
        cutoff_of(found.pairs, found.ratio, len(rows)),
        near,
        [aligned(candidates[1], index) for index in range(len(candidates[1]))],
    )
    n_within = int(np.searchsorted(found.ratio, criteria.cutoff, side="right"))
    n_beyond = (
        max(_MOST_BEYOND, round(_MOST_BEYOND_SHARE * len(rows))) if criteria.beyond < 1 else 0
    )
    possible = _few_each(found, np.arange(min(len(found), n_within + n_beyond)))
    possible = possible[rows[found.pairs[possible]].max(axis=1) >= since]
    copies = []
    for done, index in enumerate(possible.tolist(), start=1):
        result, ratio = aligned(found, index), float(found.ratio[index])
        first, second = sorted(int(rows[row]) for row in found.pairs[index])
        is_copy = criteria.are_met(result, ratio)
        if not is_copy and criteria.may_be_reencoded(result, ratio):
            is_copy = is_reencoded(place.blocks(first), place.blocks(second))
        if is_copy:
            copies.append(DuplicatePair(first, second, kind_of(result), ratio))
        if progress is not None:
            progress(done, len(possible))
    return copies, criteria.needed


def _some(rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).choice(rows, min(500, len(rows)), replace=False)


def _few_each(found: Candidates, possible: NDArray[np.int64]) -> NDArray[np.int64]:
    """The four nearest possible copies of each: groups join through them at little cost."""
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
        self.reduced = lru_cache(4096)(lambda row: ReducedImage.of(self._image(row)))
        self.blocks = lru_cache(4096)(lambda row: blocks_of(self._image(row)))

    def _image(self, row: int) -> NDArray[np.generic]:
        which = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._sets[which][row - int(self._starts[which])]


def _joined(n: int, pairs: Sequence[DuplicatePair]) -> NDArray[np.int64]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if n == 0:
        return np.zeros(0, np.int64)
    ends = np.asarray([(copy.first, copy.second) for copy in pairs], np.int64).reshape(-1, 2)
    label = connected_components(
        coo_array((np.ones(len(ends), np.bool_), (ends[:, 0], ends[:, 1])), shape=(n, n)),
        directed=False,
    )[1]
    return np.asarray(np.unique(label, return_index=True)[1][label], np.int64)
