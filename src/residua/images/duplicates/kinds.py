"""What kind of copy an alignment shows: the changes that were made, in plain words."""

from __future__ import annotations

import math

from residua.images.duplicates.alignment import Alignment
from residua.images.duplicates.similarity import TURNS

KINDS = ("exact", "re-encoded", "resized", "brightened", "cropped", "flipped", "rotated")
_CUT = 0.02  # share of a side that has to be missing to count as cropped
_CONTRAST, _BRIGHTNESS = 0.1, 0.02


def kind_of(alignment: Alignment) -> str:
    """The kinds that apply, joined by `` + ``; ``re-encoded`` where nothing but the pixels' last
    digits changed.

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
