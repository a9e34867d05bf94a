"""All masks of a source, looked at while its images are decoded.

What is ground, which masks cannot be used, what was assumed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from residua._text import count
from residua.errors import ImageError
from residua.images.listing import AS_MASK, Options, Quarantined
from residua.images.masks import (
    BLACK,
    Convention,
    Look,
    MaskFiles,
    convention_of,
    fits,
    in_words,
    look_at,
    needs_reading,
    read_mask,
    share_of,
)
from residua.images.pixels import decoders
from residua.records import Assumption

_MOST_LOOKS = 4096  # of masks, spread evenly, decide what is ground
_TO_TELL = "masks as PNG of their image's size, 0 where all is well and 255 where it is defective"


@dataclass(frozen=True)
class MaskDecision:
    """How the masks are read, those that cannot be, by row, and what is said of them."""

    convention: Convention
    faults: dict[int, list[Quarantined]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()


class MaskSet:
    """A listing's masks. Call `look` for each image in any order, and `settle` at the end."""

    def __init__(self, masks: Sequence[MaskFiles | None], options: Options) -> None:
        self._masks, self._options = masks, options
        rows = [row for row, mask in enumerate(masks) if mask is not None]
        kept = np.linspace(0, len(rows) - 1, min(len(rows), _MOST_LOOKS)).astype(np.int64)
        self._asked = {rows[place] for place in kept.tolist()}
        self._looks: dict[int, list[Look]] = {}
        self._again: dict[int, tuple[int, int]] = {}
        self._resized: dict[int, tuple[tuple[int, int], tuple[int, int]]] = {}
        self._faults: dict[int, list[Quarantined]] = {}

    def look(self, row: int, size: tuple[int, int]) -> None:
        """Look at the mask of an image of that size."""
        looks = []
        for path in files_of(self._masks[row]):
            try:
                seen = look_at(path, self._options.pixel_limit, self._options.byte_limit)
            except ImageError as error:
                return self._refuse(row, str(path), str(error))
            if not fits(seen.size, size):
                here, there = "{} x {}".format(*seen.size), "{} x {}".format(*size)
                return self._refuse(row, str(path), f"is {here} where its image is {there}")
            if seen.size != size:
                self._resized[row] = (seen.size, size)
            looks.append(seen)
        if any(map(needs_reading, looks)):
            self._again[row] = size
        if row in self._asked:
            self._looks[row] = looks
        return None

    def settle(self) -> MaskDecision:
        """Decide how the masks are read, and read again those that may be no masks."""
        looks = [one for row in sorted(self._looks) for one in self._looks[row]]
        convention = convention_of(looks)
        with_faults = list(
            decoders().map(lambda row: self._fault(row, convention), sorted(self._again))
        )
        for row, reason in zip(sorted(self._again), with_faults, strict=True):
            if reason is not None:
                self._refuse(row, str(files_of(self._masks[row])[0]), reason)
        good = {row: self._looks[row] for row in sorted(self._looks) if row not in self._faults}
        return MaskDecision(
            convention,
            self._faults,
            (*self._size_notes(), *_notes(good, convention)),
            _ground_taken(looks, convention),
        )

    def _fault(self, row: int, convention: Convention) -> str | None:
        masks, options = self._masks[row], self._options
        assert masks is not None
        try:
            read_mask(
                masks,
                options.pixel_limit,
                options.byte_limit,
                convention=convention,
                size=self._again[row],
            )
        except ImageError as error:
            return str(error)
        return None

    def _refuse(self, row: int, path: str, reason: str) -> None:
        self._faults.setdefault(row, []).append(Quarantined(path, f"{AS_MASK}{reason}"))

    def _size_notes(self) -> tuple[str, ...]:
        resized = {
            row: sizes for row, sizes in sorted(self._resized.items()) if row not in self._faults
        }
        if not resized:
            return ()
        row, (found, size) = next(iter(resized.items()))
        shown = (
            f"{files_of(self._masks[row])[0].name} is {found[0]} x {found[1]}, its image {size[0]}"
            f" x {size[1]}"
        )
        n = count(len(resized), "mask")
        return (
            (
                f"{n} not of their image's size ({shown}): cut or padded at the right and below,"
                " else the nearest pixels taken"
            ),
        )


def files_of(mask: MaskFiles | None) -> tuple[Path, ...]:
    """The files of a mask, none of None."""
    return () if mask is None else mask if isinstance(mask, tuple) else (mask,)


def _ground_taken(looks: Sequence[Look], convention: Convention) -> tuple[Assumption, ...]:
    if not looks:
        return ()
    tally = Counter(colour for look in looks for colour in look.shares)
    ground, n = in_words(convention.ground), count(len(looks), "mask")
    others = [in_words(colour) for colour, _ in tally.most_common(3) if colour != convention.ground]
    beside = f", beside {' and '.join(others[:2])}" if others else ", and nothing else"
    lies = (
        f"occurs in {tally[convention.ground]:,} of {n}"
        if convention.ground == BLACK
        else f"lies along the border of most of {n}"
    )
    smooth = ", from half-way on at smooth edges" if any(map(needs_reading, looks)) else ""
    return (
        Assumption(
            about="masks",
            taken=f"{ground} is ground, what is not is defective{smooth}",
            because=f"{ground} {lies}{beside}",
            to_tell=_TO_TELL,
        ),
    )


def _notes(looks: dict[int, list[Look]], convention: Convention) -> tuple[str, ...]:
    shares = [max(share_of(one, convention) for one in several) for several in looks.values()]
    if not shares:
        return ()
    notes = []
    n_empty, middle = shares.count(0.0), float(np.median(shares))
    if n_empty:
        which = "is empty: nothing in it" if n_empty == 1 else "are empty: nothing in them"
        notes.append(f"{n_empty:,} of {count(len(shares), 'mask')} {which} is marked")
    if middle > 0.5:
        notes.append(
            f"half of the masks mark more than {middle:.0%} of their image: are they inverted?"
        )
    return tuple(notes)
