"""Which of a run's images are copies of corrections: re-encoded, resized, brightened."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._text import count
from residua.errors import SourceError
from residua.images import ImageSet
from residua.images.duplicates import search_duplicates
from residua.runs.learning.corrections import Corrections
from residua.runs.origin import Origin
from residua.runs.parts import MOST_COMPARED
from residua.runs.progress import Watcher

_SEARCHED = ("test", "calibration")
_SAVED_ANEW = {"exact", "re-encoded", "resized", "brightened"}


@dataclass(frozen=True)
class Copies:
    """What the search for near-copies found.

    ``of`` gives, by its hash, for each image of the run that is a near-copy of a correction the
    hash of that correction. ``groups`` (n_corrections,) number the corrections that show one
    picture. ``n_unsearched`` test and calibration images could not be compared. ``sampled`` are the
    hashes of a sample's images that are near-copies of the run's images or of corrections.
    """

    of: Mapping[str, str] = field(default_factory=dict)
    groups: NDArray[np.int64] | None = None
    n_unsearched: int = 0
    sampled: frozenset[str] = frozenset()

    def and_of(self, earlier: Mapping[str, str]) -> Copies:
        """These and the near-copies of earlier corrections."""
        return replace(self, of={**earlier, **self.of})

    def by_correction(self) -> dict[str, tuple[str, ...]]:
        """The hashes of the run's images that are near-copies of each correction."""
        found: dict[str, list[str]] = {}
        for own, correction in self.of.items():
            found.setdefault(correction, []).append(own)
        return {correction: tuple(some) for correction, some in found.items()}


def find_copies(
    origin: Origin,
    recorded: Mapping[str, NDArray[Any]],
    corrections: Corrections,
    *,
    source: str | None = None,
    root: str | None = None,
    sample: ImageSet | None = None,
    watcher: Watcher | None = None,
) -> Copies:
    """Near-copies of corrections among the test and calibration images that `recorded` names; and
    near-copies of either, and of all other images of the run, in a `sample`.

    The images are read from the run's source, or from `source`. What is not there is counted. Where
    all corrections are the run's own images, nothing is searched.
    """
    watcher = watcher or Watcher()
    exact = {one.pixels for one in corrections.said}
    wanted = {
        pixels
        for pixels, part in zip(recorded["pixels"].tolist(), recorded["part"].tolist(), strict=True)
        if part in _SEARCHED and pixels not in exact
    }
    # The run's own files need no search: other views of a part are no copies of them.
    if sample is None and (not wanted or exact <= set(recorded["pixels"].tolist())):
        return Copies()
    watcher.note("searching the run's images for near-copies of new ones")
    try:
        own = origin.load_moved(source, watcher, root)
    except SourceError:
        own = None
    n_new = len(corrections.said) + (0 if sample is None else len(sample))
    if own is not None and len(own) + n_new > MOST_COMPARED:
        own = None
    there = set() if own is None else set(own.pixel_hashes.tolist())
    searched = [] if own is None else [own]
    found = copies_among(searched, corrections, wanted, sample=sample, watcher=watcher)
    found = replace(found, n_unsearched=len(wanted - there))
    if found.n_unsearched:
        watcher.note(
            f"{count(found.n_unsearched, 'test and calibration image')} of the run could not be"
            " compared with the corrections. Those that are re-encoded or resized copies of"
            " corrections stay where they are, so the new version may look better than it is. Name"
            " the run's images with --source"
        )
    return found


def copies_among(
    own: Sequence[ImageSet],
    corrections: Corrections,
    wanted: Collection[str],
    *,
    sample: ImageSet | None = None,
    watcher: Watcher | None = None,
) -> Copies:
    """The near-copies of corrections among a run's images, of those whose hashes are `wanted`; and
    those of either in a `sample`.

    All images of the run are compared, since how alike copies are follows from them.
    """
    sets = [*own, corrections.images, *([] if sample is None else [sample])]
    n = sum(map(len, own))
    n_known = n + len(corrections.said)
    progress = None if watcher is None else watcher.on_read
    found = search_duplicates(sets, since=n, progress=progress)
    hashes = [str(one) for some in sets for one in some.pixel_hashes.tolist()]
    # Turned and cropped ones are no files saved anew, and outliers among corrections make parts of
    # one shape look like turned copies of each other.
    pairs = [pair for pair in found.pairs if set(pair.kind.split(" + ")) <= _SAVED_ANEW]
    copies: dict[str, str] = {}
    for pair in pairs:  # the nearest first
        if pair.first < n <= pair.second < n_known and hashes[pair.first] in wanted:
            copies.setdefault(hashes[pair.first], hashes[pair.second])
    groups = np.arange(len(corrections.said))
    for pair in pairs:
        if pair.first >= n and pair.second < n_known:
            first, second = groups[[pair.first - n, pair.second - n]]
            groups[groups == max(first, second)] = min(first, second)
    near = {hashes[pair.second] for pair in pairs if pair.first < n_known <= pair.second}
    return Copies(copies, groups, sampled=frozenset(near))
