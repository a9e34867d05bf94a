"""Copies among images: exact ones, and pictures that were re-encoded, resized, brightened, cropped, flipped or rotated."""

from residua.images.copies.search import Copies, Copy, find_copies
from residua.images.copies.twins import group_twins

__all__ = ["Copies", "Copy", "find_copies", "group_twins"]
