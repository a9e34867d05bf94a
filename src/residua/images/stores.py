"""Where encoded bytes lie: a local folder, or an object store through fsspec.

Read whole or by range, never outside the root.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol, TypeVar

from residua.errors import ImageError, MissingExtraError, SourceError

ATTEMPTS = 5  # before a store is given up
FIRST_WAIT = 0.2
"""Seconds before the second attempt; each further one waits twice as long, so that five attempts
take three seconds."""
_READ_AHEAD = 1 << 20  # bytes
_ASK_AGAIN = frozenset({408, 425, 429})  # too slow, too early, too many

_Result = TypeVar("_Result")


class Store(Protocol):
    """Files by name relative to a root; picklable, so that another process can read the same."""

    def read(self, name: str, limit: int) -> bytes:
        """A whole file of at most `limit` bytes.

        `ImageError` where it is not there or too large.
        """

    def read_range(self, name: str, start: int, n_bytes: int) -> bytes:
        """`n_bytes` of a file from `start` on; `ImageError` where the file is shorter."""

    def open(self, name: str) -> BinaryIO:
        """A file for reading from the front, with `seek`."""


@dataclass(frozen=True)
class LocalFolder:
    """Files under a folder of this machine."""

    root: Path

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of one file.

        Nothing but a regular file is opened, so that a pipe cannot make us wait.
        """
        return read_bytes(self.root / name, limit)

    def read_range(self, name: str, start: int, n_bytes: int) -> bytes:
        """Part of a file."""
        try:
            with (self.root / name).open("rb", buffering=0) as file:
                file.seek(start)
                data = file.read(n_bytes)
        except OSError as error:
            raise ImageError(f"the file cannot be read: {error.strerror or error}") from error
        return _whole(data, n_bytes)

    def open(self, name: str) -> BinaryIO:
        """The file, unbuffered beyond what the system does."""
        return (self.root / name).open("rb")


@dataclass(frozen=True)
class RemoteFolder:
    """Files under a URL that fsspec knows (s3, gs, http, ...), asked a few times if flaky."""

    url: str

    @cached_property
    def _place(self) -> tuple[Any, str]:
        fsspec = _fsspec(self.url)
        try:
            fs, root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise SourceError(
                f"{self.url}: the store must be one that fsspec can open. Got: {error}. Install"
                " what it names, or check the URL."
            ) from error
        return fs, root.rstrip("/")

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url}  # the open connection stays here

    def path(self, name: str) -> str:
        """`name` in the store's own words; one that would lead out of the root is refused."""
        if not is_inside(name):
            raise ImageError("its name leads out of the source: not followed")
        root = self._place[1]
        return f"{root}/{name}" if name and root else name or root

    def names(self) -> list[str]:
        """Every file under the root, in order; hidden ones left out.

        Empty where nothing is there.
        """
        fs, root = self._place
        found = self._look(lambda: fs.find(root))
        prefix = f"{root}/" if root else ""
        names = (
            path.removeprefix(prefix) for path in found if path.startswith(prefix) and path != root
        )
        return sorted(name for name in names if is_inside(name) and not _is_hidden(name))

    def is_file(self) -> bool:
        """Whether the URL itself is a file."""
        fs, root = self._place
        return bool(self._look(lambda: fs.isfile(root)))

    def _look(self, ask: Callable[[], Any]) -> Any:
        try:
            return _persistently(ask, self.url)
        except ImageError as error:
            raise SourceError(
                f"{self.url}: a source must exist. Got: {error}. Check the URL, and that you may"
                " read it."
            ) from None

    def read(self, name: str, limit: int) -> bytes:
        """A whole file."""
        fs, path = self._place[0], self.path(name)
        data: bytes = _persistently(lambda: fs.cat_file(path, end=limit + 1), f"{self.url}: {name}")
        if len(data) > limit:
            raise ImageError(
                f"the file holds more than the {limit:,} bytes that its pixels could need"
            )
        return data

    def read_range(self, name: str, start: int, n_bytes: int) -> bytes:
        """Part of a file."""
        fs, path = self._place[0], self.path(name)
        data = _persistently(
            lambda: fs.cat_file(path, start=start, end=start + n_bytes), f"{self.url}: {name}"
        )
        if len(data) > n_bytes:
            raise SourceError(
                f"{self.url}: the store must give parts of files (HTTP ranges). Got all of {name}. "
                "Copy the files here first, or serve them by a server that knows ranges."
            )
        return _whole(data, n_bytes)

    def open(self, name: str) -> BinaryIO:
        """The file, read ahead by the megabyte, each read tried again as any other."""
        fs, path = self._place[0], self.path(name)
        size = _persistently(lambda: fs.size(path), f"{self.url}: {name}")
        if size is None:
            raise SourceError(
                f"{self.url}: the store must say how large {name!r} is. It does not. Copy the file"
                " here first."
            )
        return io.BufferedReader(_RangeFile(self, name, int(size)), _READ_AHEAD)


class _RangeFile(io.RawIOBase):
    """A remote file as one that can be sought in: every read is a range."""

    def __init__(self, store: RemoteFolder, name: str, size: int) -> None:
        super().__init__()
        self._store, self._name, self._size, self._position = store, name, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = (
            offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        )
        return self._position

    def readinto(self, buffer: Any) -> int:
        n_bytes = max(0, min(len(buffer), self._size - self._position))
        if n_bytes:
            buffer[:n_bytes] = self._store.read_range(self._name, self._position, n_bytes)
        self._position += n_bytes
        return n_bytes


def is_url(source: str) -> bool:
    """Whether `source` names a store, ``s3://bucket/folder``, and no drive by a letter."""
    scheme, colon, _ = source.partition("://")
    return bool(colon) and len(scheme) > 1 and scheme.replace("+", "").replace(":", "").isalnum()


def is_inside(name: str) -> bool:
    """Whether a relative name stays below its root.

    >>> [is_inside(name) for name in ("a/b.png", "../b.png", "/etc/passwd", "a/../../b")]
    [True, False, False, False]
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return ".." not in parts and not name.startswith(("/", "\\")) and "\0" not in name


def read_bytes(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes; `ImageError` says why not."""
    try:
        if not path.is_file():
            raise ImageError(_why_no_file(path))
        size = path.stat().st_size
        if size > limit:
            raise ImageError(
                f"the file holds {size:,} bytes, more than the {limit:,} that its pixels could need"
            )
        with path.open("rb") as file:
            return file.read(limit + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(
            f"the file cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error


def _why_no_file(path: Path) -> str:
    if path.exists():
        return "not a regular file"
    if path.is_symlink():
        return "a link to a file that is not there: fetch it (git annex get, dvc pull)"
    return "there is no such file"


def _persistently(ask: Callable[[], _Result], what: str) -> _Result:
    """What `ask` returns, asked up to five times while the store fails.

    What is not there is not asked for again.

    A store that stays silent ends the work with `SourceError`: its images are neither good nor bad,
    so none is quarantined.
    """
    for attempt in range(ATTEMPTS):
        try:
            return ask()
        except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
            raise ImageError(f"cannot be read from the store: {error}") from error
        except _passing_faults() as error:
            status = getattr(error, "status", None)  # of an answer over HTTP
            if isinstance(status, int) and 400 <= status < 500 and status not in _ASK_AGAIN:
                raise ImageError(f"cannot be read from the store: it answers {status}") from error
            if attempt == ATTEMPTS - 1:
                raise SourceError(
                    f"{what}: the store must answer. Got {type(error).__name__}: {error},"
                    f" {ATTEMPTS} times in a row. Try again later: what is scored already is kept."
                ) from error
            time.sleep(FIRST_WAIT * 2**attempt)
    raise AssertionError("unreachable")


def _passing_faults() -> tuple[type[Exception], ...]:
    """What stores throw while they fail for a time, of those clients that are loaded."""
    of_clients = (
        ("aiohttp", "ClientError"),
        ("botocore.exceptions", "BotoCoreError"),
        ("botocore.exceptions", "ClientError"),
    )
    loaded = (getattr(sys.modules[one], name) for one, name in of_clients if one in sys.modules)
    return (OSError, TimeoutError, EOFError, *loaded)


def _fsspec(url: str) -> Any:
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtraError("fsspec", "remote", f"Reading {url}") from error
    return fsspec


def _whole(data: bytes, n_bytes: int) -> bytes:
    if len(data) != n_bytes:
        raise ImageError(f"the file ends early: {len(data):,} of {n_bytes:,} bytes")
    return data


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
