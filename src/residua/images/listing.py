"""What a source hands over before anything is decoded.

Names, labels, splits and where the pixels lie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from residua.errors import ImageError
from residua.images.columns import taken, texts
from residua.images.decoding import Encoded
from residua.images.masks import MaskFiles
from residua.images.reading import AS_IT_SAYS, Reading
from residua.images.stores import Store
from residua.records import Assumption

PARTS = ("train", "calibration", "test")

Progress = Callable[[int, int], None]


AS_MASK = "as a mask: "
"""How the reason begins where a mask was kept out and its image was not."""


class Quarantined(NamedTuple):
    """A file that was kept out of every number, and why."""

    path: str
    reason: str

    @property
    def is_mask(self) -> bool:
        """Whether a mask alone was kept out: its image is there."""
        return self.reason.startswith(AS_MASK)


@dataclass(frozen=True)
class Options:
    """How a source is to be read; the same for every kind.

    ``of_model``: the reading is a model's, nobody told it of these. ``group_column``: what may be
    the name of a column to group by, ``product_column`` of one that names products.
    """

    pixel_limit: int = 100_000_000
    memory_megabytes: float = 2048
    root: Path | None = None
    follow_links: bool = False
    progress: Progress | None = None
    reading: Reading = AS_IT_SAYS
    of_model: bool = False
    group_column: str | None = None
    product_column: str | None = None

    @property
    def byte_limit(self) -> int:
        """The largest encoded file that is opened: 8 bytes per possible pixel, or 64 MiB."""
        return max(64 << 20, 8 * self.pixel_limit)

    @property
    def array_limit(self) -> int:
        """The largest array, in bytes, that is read whole: four times the memory for pixels."""
        return int(4 * self.memory_megabytes * 2**20)


class EncodedImages(Protocol):
    """Images that still have to be decoded, by position; those of sources are picklable."""

    def __len__(self) -> int:
        """The number of images."""

    def read(self, index: int) -> Encoded:
        """What is to be decoded of one image; `ImageError` where there is nothing."""

    def part(self, rows: NDArray[np.int64]) -> EncodedImages:
        """These images alone."""


@dataclass(frozen=True)
class Files:
    """Encoded images that are a file each; ``names`` are relative to the store, as `texts`."""

    store: Store
    names: NDArray[Any]
    byte_limit: int

    @classmethod
    def of(cls, store: Store, names: Sequence[str], byte_limit: int) -> EncodedImages:
        """Files by name; names that are no UTF-8, which some file systems hold, are kept apart."""
        odd = {row: name for row, name in enumerate(names) if not _is_utf8(name)}
        column = (
            texts("" if row in odd else name for row, name in enumerate(names))
            if odd
            else texts(names)
        )
        return OddFiles(store, column, byte_limit, odd) if odd else cls(store, column, byte_limit)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        """The bytes of one file."""
        return self.store.read(str(self.names[index]), self.byte_limit)

    def part(self, rows: NDArray[np.int64]) -> EncodedImages:
        """These files alone."""
        return Files(self.store, self.names[rows], self.byte_limit)


@dataclass(frozen=True)
class OddFiles(Files):
    """Files of which a few have names that are no text; those are held by row."""

    odd: dict[int, str]

    def read(self, index: int) -> bytes:
        """The bytes of one file."""
        return self.store.read(self.odd.get(index, str(self.names[index])), self.byte_limit)

    def part(self, rows: NDArray[np.int64]) -> EncodedImages:
        """These files alone."""
        return OddFiles(
            self.store,
            self.names[rows],
            self.byte_limit,
            {new: self.odd[old] for new, old in enumerate(rows.tolist()) if old in self.odd},
        )


@dataclass(frozen=True)
class Ranges:
    """Encoded images that are ranges of larger files: of tar shards."""

    store: Store
    shards: tuple[str, ...]
    shard: NDArray[np.int32]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    byte_limit: int

    def __len__(self) -> int:
        return len(self.starts)

    def read(self, index: int) -> bytes:
        """The bytes of one range."""
        size = int(self.sizes[index])
        if size > self.byte_limit:
            raise ImageError(
                f"the file holds {size:,} bytes, more than the {self.byte_limit:,} that its pixels"
                " could need"
            )
        return self.store.read_range(self.shards[self.shard[index]], int(self.starts[index]), size)

    def part(self, rows: NDArray[np.int64]) -> EncodedImages:
        """These ranges alone."""
        return replace(
            self, shard=self.shard[rows], starts=self.starts[rows], sizes=self.sizes[rows]
        )


@dataclass(frozen=True)
class JoinedImages:
    """The images of several contents, one after the other."""

    contents: tuple[EncodedImages, ...]

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum([len(content) for content in self.contents])

    def read(self, index: int) -> Encoded:
        """One image, of the content that holds it."""
        which = int(np.searchsorted(self._ends, index, "right"))
        return self.contents[which].read(index - int(self._ends[which] - len(self.contents[which])))

    def part(self, rows: NDArray[np.int64]) -> EncodedImages:
        """These images alone; rows ascend."""
        which = np.searchsorted(self._ends, rows, "right")
        starts = self._ends - [len(content) for content in self.contents]
        return JoinedImages(
            tuple(
                self.contents[one].part(rows[which == one] - starts[one])
                for one in np.unique(which).tolist()
            )
        )


@dataclass(frozen=True)
class Listing:
    """A source as found: a row an image, the same length in every column.

    ``content`` is either an array of pixels, (n, h, w, c) uint8 or float32 in [0, 1], or
    `EncodedImages` images. Names are `texts` where there may be very many; labels, parts and groups
    then share equal objects. ``own`` are columns of the source that mean nothing to residua, as
    `texts`: they go into the table of scores. ``splits`` holds ``train``, ``calibration``,
    ``test``, or is None where the source has no split. ``group_column`` is the source's own name of
    the column of groups. ``reading`` is how pixels in an array were
    read.
    """

    kind: str
    names: Sequence[str] | NDArray[Any]
    content: NDArray[Any] | EncodedImages
    labels: Sequence[Any] | NDArray[Any] | None = None
    splits: Sequence[str] | NDArray[Any] | None = None
    groups: Sequence[str | None] | NDArray[Any] | None = None
    products: NDArray[Any] | None = None
    group_column: str = "group"
    masks: Sequence[MaskFiles | NDArray[np.bool_] | None] | None = None
    own: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    quarantined: Sequence[Quarantined] = ()
    notes: Sequence[str] = ()
    assumptions: Sequence[Assumption] = ()
    normal: str | None = None
    formats: dict[str, int] = field(default_factory=dict)
    reading: Reading = AS_IT_SAYS

    def part(self, start: int, stop: int) -> Listing:
        """The rows from `start` up to `stop`, without what was said of the whole."""
        return self.rows(np.arange(start, min(stop, len(self.names))))

    def rows(self, rows: NDArray[np.int64]) -> Listing:
        """Some rows, which ascend, without what was said of the whole."""
        content = (
            self.content[rows] if isinstance(self.content, np.ndarray) else self.content.part(rows)
        )
        columns = {
            name: taken(getattr(self, name), rows)
            for name in ("names", "labels", "splits", "groups", "products", "masks")
        }
        return replace(
            self,
            content=content,
            own={name: column[rows] for name, column in self.own.items()},
            **columns,
            quarantined=(),
            notes=(),
            assumptions=(),
        )


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
