"""Duplicates among images, exact ones and changed ones.

Changed are pictures that were re-encoded, resized, brightened, cropped, flipped or rotated.
"""

from residua.images.duplicates.leaks import Leak, Leaks, exact_leaks, leaks_of
from residua.images.duplicates.search import (
    DuplicatePair,
    Duplicates,
    group_duplicates,
    search_duplicates,
)

__all__ = [
    "DuplicatePair",
    "Duplicates",
    "Leak",
    "Leaks",
    "exact_leaks",
    "group_duplicates",
    "leaks_of",
    "search_duplicates",
]
