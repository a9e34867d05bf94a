"""An object store as a source, by a URL that fsspec knows.

Images in folders, Parquet shards or tar shards.
"""

from __future__ import annotations

from residua._text import count
from residua.errors import SourceError
from residua.images.decoding import SUFFIXES as IMAGE_SUFFIXES
from residua.images.listing import Listing, Options
from residua.images.shards import Shards, in_blocks, join_shards
from residua.images.sources import folders, parquet, split_folders, tar
from residua.images.sources.walking import find_remote_images, suffix_of
from residua.images.stores import RemoteFolder


def read(url: str, options: Options) -> Listing:
    """Everything under the URL."""
    found = _sharded(url)
    return (
        _images(url, options) if found is None else join_shards(found.kind, found.pieces, options)
    )


def shards(url: str, options: Options) -> Shards:
    """Each Parquet file or archive is a piece; single images are pieces by the thousand."""
    found = _sharded(url)
    return in_blocks(_images(url, options)) if found is None else found


def _sharded(url: str) -> Shards | None:
    """The shards under the URL, or None where there are none."""
    store, names = _files(url)
    for shards_of, suffixes in (
        (parquet.shards_of, parquet.SUFFIXES),
        (tar.shards_of, tar.SUFFIXES),
    ):
        own = [name for name in names if suffix_of(name) in suffixes and name.count("/") <= 1]
        n_beside = sum(suffix_of(name) in IMAGE_SUFFIXES for name in names)
        if own and n_beside and n_beside <= len(own):
            raise SourceError(
                f"{url}: a store must hold images, or shards of one kind. Got"
                f" {count(len(own), 'shard')} and {count(n_beside, 'image')}. Name one of the"
                " files, or put each kind in a place of its own."
            )
        if own and not n_beside:
            return shards_of(store, own, is_folder=len(names) > 1)
    return None


def _images(url: str, options: Options) -> Listing:
    store, names = _files(url)
    found = find_remote_images(store, names)
    has_parts = split_folders.has_parts(found.names)
    return split_folders.arrange(found, options) if has_parts else folders.arrange(found, options)


def _files(url: str) -> tuple[RemoteFolder, list[str]]:
    """The files under the URL, or the one that it is, by name."""
    folder, _, base = url.rstrip("/").rpartition("/")
    if suffix_of(base) and RemoteFolder(url).is_file():
        return RemoteFolder(folder), [base]
    store = RemoteFolder(url)
    names = store.names()
    if not names:
        raise SourceError(
            f"{url}: a source must exist. Got a place without files. Check the URL, and that you"
            " may read it."
        )
    return store, names
