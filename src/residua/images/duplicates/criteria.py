"""When a pair of images counts as duplicates, and of what kind: limits estimated from the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from residua.images.duplicates.alignment import Alignment
from residua.images.duplicates.similarity import TURNS

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
    """What the data ask of a pair.

    How near it has to be, how well details have to agree, and how well noise.
    """

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
        """Two photographs of parts of one shape are no copies, however well their edges agree.

        What shares its noise is one.
        """
        if pair.noise.is_independent:
            return False
        return pair.details >= self._details(ratio) or pair.noise.correlation >= self.noise

    def may_be_reencoded(self, pair: Alignment, ratio: float) -> bool:
        """JPEG takes the noise out of small pictures and spoils their details."""
        return ratio <= _CODED and pair.turn == 0 and not pair.noise.is_independent

    def _details(self, ratio: float) -> float:
        """How well details have to agree at that distance.

        The better, the further apart the pictures are.
        """
        if ratio > self.cutoff:
            return self.beyond
        share = ratio / self.cutoff
        if share <= _SHARES[-1]:
            return float(np.interp(share, _SHARES, DETAILS))
        return float(
            np.interp(
                share,
                (_SHARES[-1], 1.0),
                (self.needed, max(self.needed, min(self.beyond, _AT_THE_CUTOFF))),
            )
        )


def _almost_all(values: Sequence[float]) -> float | None:
    """The 99% quantile; None of too few."""
    return float(np.quantile(values, 0.99)) if len(values) >= _FEWEST_OTHERS else None


def _above(correlation: float | None, further: float) -> float:
    """A correlation that is larger by `further` in Fisher's z.

    1, which no pair has, where nothing is known.
    """
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
