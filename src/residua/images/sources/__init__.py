"""The kinds of source, one file each.

A new kind is a file with `recognises` and `read`, and its name in `SOURCES`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from residua._text import count
from residua.errors import SourceError
from residua.images.listing import Listing, Options
from residua.images.shards import Shards, in_blocks
from residua.images.sources import (
    array_files,
    digits,
    folders,
    idx,
    manifest,
    parquet,
    remote,
    single_file,
    split_folders,
    tar,
)
from residua.images.sources.walking import n_images
from residua.images.stores import is_url


class Source(Protocol):
    """A kind of source: whether it knows a path, and what lies there."""

    def recognises(self, path: Path) -> bool:
        """Whether `path` is a source of this kind; looks at names and first bytes only."""

    def read(self, path: Path, options: Options) -> Listing:
        """List what lies there; nothing is decoded yet."""


# The first that recognises a path reads it: files by their suffix, then folders from the most
# particular layout to the least.
# Modules have the two functions; mypy compares them as instances.
SOURCES = cast(
    "tuple[Source, ...]",
    (manifest, parquet, tar, array_files, idx, single_file, split_folders, folders),
)
_SHARDED = (parquet, tar)


def list_source(source: str | Path, options: Options) -> Listing:
    """What `source` holds, by the first kind that knows it; `SourceError` if none does."""
    if source == digits.WORD:
        return digits.read()
    if is_url(str(source)):
        return remote.read(str(source), options)
    path, kind = _recognised(source)
    if options.root is not None and kind is not manifest:
        raise SourceError(
            f"{source}: root= (--root) is for a manifest. Got a source of another kind. Leave it"
            " out."
        )
    return kind.read(path, options)


def list_shards(source: str | Path, options: Options) -> Shards:
    """`source` in pieces to list and read alone, in the order of `list_source`."""
    if source == digits.WORD:
        return in_blocks(digits.read())
    if is_url(str(source)):
        return remote.shards(str(source), options)
    path, kind = _recognised(source)
    sharded = next((one for one in _SHARDED if one is kind), None)
    return in_blocks(kind.read(path, options)) if sharded is None else sharded.shards(path, options)


def _recognised(source: str | Path) -> tuple[Path, Source]:
    if not str(source):
        raise SourceError(
            "source: must be named. Got an empty text. Name a folder, a file, or 'digits'."
        )
    path = Path(source)
    try:
        there = path.exists()
    except (OSError, ValueError):  # a name that no file system can hold
        there = False
    if not there:
        raise SourceError(
            f"{source}: a source must exist. Got a path where nothing is. Check the spelling, or"
            " name 'digits'."
        )
    kind = (
        _kind_of_folder(path)
        if path.is_dir()
        else next((kind for kind in SOURCES if kind.recognises(path)), None)
    )
    if kind is None:
        raise SourceError(
            f"{source}: a source must be a folder with images, an image, .npz, .npy, IDX, .parquet,"
            " .tar, a .csv manifest, a URL or 'digits'. Got something else. Convert it to one of"
            " those."
        )
    return path, kind


def _kind_of_folder(path: Path) -> Source:
    """Shards where there are shards alone: beside many images, files of data are left."""
    data = {
        kind: files
        for kind, files in ((one, one.files_in(path)) for one in (parquet, tar, idx))
        if files
    }
    n_files = sum(map(len, data.values()))
    n_beside = n_images(path, most=n_files + 1) if data else 0
    if n_beside > n_files or not data:
        return cast("Source", split_folders if split_folders.recognises(path) else folders)
    if len(data) == 1 and not n_beside:
        return cast("Source", next(iter(data)))
    got = [count(len(files), f"{files[0].suffix or files[0].name} file") for files in data.values()]
    got += [count(n_beside, "image")] if n_beside else []
    raise SourceError(
        f"{path}: a folder must hold images, or shards of one kind. Got {' and '.join(got)}. Name"
        f" one of the files ({next(iter(data.values()))[0].name}), or put each kind in a folder of"
        " its own."
    )
