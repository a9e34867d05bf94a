"""A source in pieces, each listed and read alone.

By one of many workers, or one after the other beyond memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from residua.errors import SourceError
from residua.images.columns import shared, texts
from residua.images.listing import JoinedImages, Listing, Options, Quarantined
from residua.records import Assumption

ROWS_A_BLOCK = 4096  # rows of a listing that are scored together


class Shard(Protocol):
    """A piece of a source; small and picklable, whatever it holds."""

    @property
    def name(self) -> str:
        """As told to users."""

    def listing(self, options: Options) -> Listing:
        """What lies in this piece alone; `SourceError` where it cannot be read."""


@dataclass(frozen=True)
class Block:
    """Rows of a listing that is there already."""

    name: str
    rows: Listing

    def listing(self, options: Options) -> Listing:
        """The rows."""
        return self.rows


@dataclass(frozen=True)
class Shards:
    """All pieces of a source, in order."""

    kind: str
    pieces: Sequence[Shard]
    quarantined: Sequence[Quarantined] = ()
    notes: Sequence[str] = ()
    n_images: int | None = None
    assumptions: Sequence[Assumption] = ()


def in_blocks(listing: Listing) -> Shards:
    """A listing in pieces of 4,096 rows."""
    return Shards(
        listing.kind,
        _Blocks(listing),
        listing.quarantined,
        listing.notes,
        len(listing.names),
        listing.assumptions,
    )


class _Blocks(Sequence[Shard]):
    """The blocks of a listing, cut when they are asked for."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing

    def __len__(self) -> int:
        return (len(self._listing.names) + ROWS_A_BLOCK - 1) // ROWS_A_BLOCK

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        start = index * ROWS_A_BLOCK
        return Block(
            f"images {start + 1:,} and on", self._listing.part(start, start + ROWS_A_BLOCK)
        )


def join_shards(kind: str, shards: Sequence[Shard], options: Options) -> Listing:
    """One listing of all pieces; of several, one that cannot be read is quarantined."""
    listings: list[Listing] = []
    quarantined: list[Quarantined] = []
    for shard in shards:
        try:
            listings.append(shard.listing(options))
        except SourceError as error:
            if len(shards) == 1:
                raise
            quarantined.append(Quarantined(shard.name, f"the whole shard: {error}"))
    if not listings:
        raise SourceError("\n".join(one.reason for one in quarantined[:3]))
    return join_listings(kind, listings, quarantined)


def join_listings(
    kind: str, listings: Sequence[Listing], quarantined: Sequence[Quarantined] = ()
) -> Listing:
    """Listings of encoded images one after the other."""
    splits = [one.splits for one in listings]
    return Listing(
        kind=kind,
        names=texts(name for one in listings for name in one.names),
        content=JoinedImages(
            tuple(one.content for one in listings if not isinstance(one.content, np.ndarray))
        ),
        labels=_joined([one.labels for one in listings], listings),
        splits=_joined(splits, listings) if all(one is not None for one in splits) else None,
        groups=_joined([one.groups for one in listings], listings),
        own={
            name: texts(
                cell for one in listings for cell in one.own.get(name, ("",) * len(one.names))
            )
            for name in dict.fromkeys(name for one in listings for name in one.own)
        },
        quarantined=[*quarantined, *(bad for one in listings for bad in one.quarantined)],
        notes=list(dict.fromkeys(note for one in listings for note in one.notes)),
        assumptions=list(dict.fromkeys(made for one in listings for made in one.assumptions)),
    )


def _joined(columns: Sequence[Any], listings: Sequence[Listing]) -> NDArray[Any] | None:
    if all(column is None for column in columns):
        return None
    return shared(
        value
        for column, listing in zip(columns, listings, strict=True)
        for value in ([None] * len(listing.names) if column is None else column)
    )
