"""Judged images that are copies of training images, of any kind, each beside the image it is a copy
of.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from residua.findings import Checks
from residua.findings.figures import Figure
from residua.findings.leakage import draw_leaks
from residua.images import ImageSet
from residua.images.duplicates import Leaks, leaks_of, search_duplicates
from residua.images.listing import Progress
from residua.records import Finding

MOST_COMPARED = 200_000  # images among which copies of every kind are looked for: some minutes


class Leakage(NamedTuple):
    """Which judged images are copies of training images, the pairs as pictures, and the finding
    where a search failed.
    """

    leaks: Leaks
    pictures: Figure | None
    not_made: tuple[Finding, ...]


def look_for_leaks(
    fitted_on: ImageSet, images: ImageSet, *, progress: Progress | None = None
) -> Leakage:
    """Look for copies of the images the model was fitted on among `images`; only for exact ones
    where that fails.
    """
    checks, both = Checks(), [fitted_on, images]
    seen = np.arange(len(fitted_on) + len(images)) < len(fitted_on)
    found = checks.make("near-duplicates", lambda: search_duplicates(both, progress=progress))
    copies = search_duplicates(both, only_exact=True) if found is None else found
    leaks, rows = leaks_of(copies, seen, np.concatenate([one.paths for one in both]))
    leaks = replace(leaks, is_thorough=found is not None)
    figure = draw_leaks(
        leaks,
        lambda place: (fitted_on[int(rows[place])], images[place]),
        caption="A training image, and the judged image that is a copy of it.",
    )
    return Leakage(leaks, figure, tuple(checks.not_made))
