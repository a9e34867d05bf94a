"""The kinds of source, one file each. A new kind is a file with `recognises` and `read`, and its name in `SOURCES`."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from residua.errors import SourceError
from residua.images.listing import Listing, Options
from residua.images.sources import digits, folders, idx, manifest, npy, npz, parquet, single_file, split_folders


class Source(Protocol):
    """A kind of source: whether it knows a path, and what lies there."""

    def recognises(self, path: Path) -> bool:
        """Whether `path` is a source of this kind; looks at names and first bytes only."""
        ...

    def read(self, path: Path, options: Options) -> Listing:
        """List what lies there; nothing is decoded yet."""
        ...


# The first that recognises a path reads it: files by their suffix, then folders from the most particular layout to the least.
SOURCES = cast(
    "tuple[Source, ...]", (manifest, parquet, npz, npy, idx, single_file, split_folders, folders)
)  # modules have the two functions; mypy compares them as instances


def list_source(source: str | Path, options: Options) -> Listing:
    """What `source` holds, by the first kind that recognises it; `SourceError` if none does or nothing is there."""
    if source == digits.WORD:
        return digits.read()
    if not str(source):
        raise SourceError("source: must be named. Got an empty text. Name a folder, a file, or 'digits'.")
    path = Path(source)
    try:
        there = path.exists()
    except (OSError, ValueError):  # a name that no file system can hold
        there = False
    if not there:
        raise SourceError(f"{source}: a source must exist. Got a path where nothing is. Check the spelling, or name 'digits'.")
    kind = next((kind for kind in SOURCES if kind.recognises(path)), None)
    if kind is None:
        raise SourceError(
            f"{source}: a source must be a folder with images, an image, .npz, .npy, IDX, .parquet, a .csv manifest or 'digits'. "
            "Got something else. Convert it to one of those."
        )
    return kind.read(path, options)
