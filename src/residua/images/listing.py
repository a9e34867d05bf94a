"""What a source hands over before anything is decoded: names, labels, splits and where the pixels lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from residua.errors import ImageError

PARTS = ("train", "calibration", "test")

Progress = Callable[[int, int], None]


class Quarantined(NamedTuple):
    """A file that was kept out of every number, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Options:
    """How a source is to be read; the same for every kind."""

    pixel_limit: int = 100_000_000
    memory_megabytes: float = 2048
    root: Path | None = None
    progress: Progress | None = None

    @property
    def byte_limit(self) -> int:
        """The largest encoded file that is opened: what its pixels could need at 8 bytes each, and at least 64 MiB."""
        return max(64 << 20, 8 * self.pixel_limit)

    @property
    def array_limit(self) -> int:
        """The largest array, in bytes, that is read whole: four times the memory for pixels."""
        return int(4 * self.memory_megabytes * 2**20)


class Encoded(Protocol):
    """Images that still have to be decoded, by position."""

    def __len__(self) -> int:
        """The number of images."""
        ...

    def read(self, index: int) -> bytes:
        """The encoded bytes of one image; `ImageError` where there are none."""
        ...


@dataclass(frozen=True)
class Files:
    """Encoded images that are files on disk."""

    paths: Sequence[Path]
    byte_limit: int

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> bytes:
        """The bytes of one file; nothing but a regular file is opened, so that a pipe cannot make us wait."""
        return read_bytes(self.paths[index], self.byte_limit)


def read_bytes(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes; `ImageError` says in plain words why not."""
    try:
        if not path.is_file():
            raise ImageError("not a regular file" if path.exists() else "there is no such file")
        size = path.stat().st_size
        if size > limit:
            raise ImageError(f"the file holds {size:,} bytes, more than the {limit:,} that its pixels could need")
        with path.open("rb") as file:
            return file.read(limit + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"the file cannot be read: {getattr(error, 'strerror', None) or error}") from error


@dataclass(frozen=True)
class Listing:
    """A source as found: a row an image, the same length in every column.

    ``content`` is either an array of pixels, (n, h, w, c) uint8 or float32 in [0, 1], or `Encoded` images.
    ``splits`` holds ``train``, ``calibration``, ``test``, or is None where the source has no split.
    """

    kind: str
    names: Sequence[str]
    content: NDArray[Any] | Encoded
    labels: Sequence[Any] | NDArray[Any] | None = None
    splits: Sequence[str] | None = None
    groups: Sequence[str | None] | None = None
    masks: Sequence[Path | None] | None = None
    quarantined: Sequence[Quarantined] = ()
    notes: Sequence[str] = ()
    normal: str | None = None
    formats: dict[str, int] = field(default_factory=dict)


def count(n: int, noun: str) -> str:
    """``1 image``, ``1,200 images``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
