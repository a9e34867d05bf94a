"""Which images of one part are copies of images of another.

What a model was told before it was asked.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.images.columns import strings
from residua.images.duplicates.search import Duplicates


class Leak(NamedTuple):
    """An image, the image it is a copy of, and the kind of copy."""

    path: str
    of: str
    kind: str


@dataclass(frozen=True)
class Leaks:
    """For each judged image whether it is a copy of one that was seen before.

    ``kinds`` (n,) has None where it is not; ``paths`` and ``of`` (n,) are the names of the image
    and of what it is a copy of. ``is_thorough`` is False where only exact copies were looked for.
    """

    kinds: NDArray[Any]
    paths: NDArray[Any]
    of: NDArray[Any]
    is_thorough: bool = True

    @property
    def leaked(self) -> NDArray[np.bool_]:
        """Which images are copies, (n,)."""
        return np.array([kind is not None for kind in self.kinds.tolist()], np.bool_)

    @property
    def tally(self) -> dict[str, int]:
        """How many there are of each kind, the commonest first."""
        return dict(Counter(kind for kind in self.kinds.tolist() if kind is not None).most_common())

    def examples(self, most: int) -> list[Leak]:
        """The first so many leaks."""
        rows = np.flatnonzero(self.leaked)[:most]
        return [Leak(str(self.paths[row]), str(self.of[row]), str(self.kinds[row])) for row in rows]


def leaks_of(
    copies: Duplicates, seen: NDArray[np.bool_], paths: NDArray[Any]
) -> tuple[Leaks, NDArray[np.int64]]:
    """The leaks among the images that were not `seen`, in their order.

    Beside them the row that each is a copy of, -1 where there is none.

    Parameters
    ----------
    copies : Copies
        Of n images, seen and judged ones together.
    seen : bool array, (n,)
    paths : object array of str, (n,)

    Examples
    --------
    >>> from residua.images import ImageSet, search_duplicates
    >>> pictures = np.random.default_rng(0).integers(0, 200, (30, 24, 24)).astype(np.uint8)
    >>> images = ImageSet.from_arrays(np.concatenate([pictures, pictures[4:5, ::-1]]))
    >>> leaks, rows = leaks_of(search_duplicates(images), np.arange(31) < 20, images.paths)
    >>> leaks.examples(5), rows[-1]
    ([Leak(path='arrays[30]', of='arrays[4]', kind='flipped')], np.int64(4))
    """
    n = len(seen)
    kinds, source = np.full(n, None, object), np.full(n, -1, np.int64)
    first_seen: dict[int, int] = {}
    for row in np.flatnonzero(seen).tolist():
        first_seen.setdefault(int(copies.groups[row]), row)
    direct: set[int] = set()
    for copy in copies.pairs:  # the nearest first
        for row, other in ((copy.first, copy.second), (copy.second, copy.first)):
            origin = other if seen[other] else first_seen.get(int(copies.groups[row]))
            if (
                seen[row]
                or origin is None
                or row in direct
                or (kinds[row] is not None and not seen[other])
            ):
                continue
            kinds[row], source[row] = copy.kind, origin
            if seen[other]:
                direct.add(row)
    asked = np.flatnonzero(~seen)
    return Leaks(
        kinds[asked],
        paths[asked],
        strings(None if row < 0 else str(paths[row]) for row in source[asked].tolist()),
    ), source[asked]


def exact_leaks(seen_hashes: NDArray[Any], hashes: NDArray[Any], paths: NDArray[Any]) -> Leaks:
    """Leaks by hashes alone: images with the pixels of a seen one, whose name is not known.

    >>> exact_leaks(
    ...     np.array(["a1", "b2"], object),
    ...     np.array(["b2", "c3"], object),
    ...     np.array(["x", "y"], object),
    ... ).tally
    {'exact': 1}
    """
    is_seen = np.isin(hashes.astype("S32"), seen_hashes.astype("S32"))
    return Leaks(
        strings("exact" if one else None for one in is_seen.tolist()),
        paths,
        strings("a training image" if one else None for one in is_seen.tolist()),
        is_thorough=False,
    )
