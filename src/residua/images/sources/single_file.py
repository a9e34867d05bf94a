"""One image file as a source: a set of one image, for scoring."""

from __future__ import annotations

from pathlib import Path

from residua.images.decoding import OTHER_SUFFIXES, SUFFIXES
from residua.images.listing import Files, Listing, Options
from residua.images.sources.walking import shown
from residua.images.stores import LocalFolder

KIND = "image file"


def recognises(path: Path) -> bool:
    """A file whose suffix is that of an image."""
    return path.is_file() and path.suffix.lower() in SUFFIXES | OTHER_SUFFIXES


def read(path: Path, options: Options) -> Listing:
    """The one image, in the part test: there is nothing to train on."""
    return Listing(
        kind=KIND,
        names=[shown(path.name)],
        content=Files.of(LocalFolder(path.parent), [path.name], options.byte_limit),
        splits=["test"],
    )
