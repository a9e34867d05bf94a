"""Copies among images: exact ones, and pictures that were re-encoded, resized, brightened, cropped,
flipped or rotated.
"""

from residua.images.duplicates.leaks import Leak, Leaks, exact_leaks, leaks_of
from residua.images.duplicates.search import Copies, Copy, find_copies
from residua.images.duplicates.twins import group_twins

__all__ = [
    "Copies",
    "Copy",
    "Leak",
    "Leaks",
    "exact_leaks",
    "find_copies",
    "group_twins",
    "leaks_of",
]
