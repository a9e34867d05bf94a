"""Files written whole or not at all (temporary name, fsync, rename), by one process at a time.

And read within bounds.

Every file that is not an image is read through here: a regular file, of bounded size. A pipe or a
device would hang or never end.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import stat
import struct
import tempfile
import time
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from residua.errors import BundleError, OutputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydantic import BaseModel

_Record = TypeVar("_Record", bound="BaseModel")

# What NumPy's readers throw at broken bytes; the header of an array is parsed as a Python literal,
# hence the odd ones.
NUMPY_FAULTS = (
    OSError, ValueError, EOFError, KeyError, TypeError, SyntaxError, ArithmeticError, MemoryError,
    RuntimeError,
    AttributeError, IndexError, tokenize.TokenError, zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip
_MOST_UNPACKED = 4 << 30
MOST_TEXT_BYTES = 64 << 20
MOST_WEIGHT_BYTES = 16 << 30
_MOST_LINE = 1 << 20

_LOCKS = os.name == "posix"
_WAITS_FOR_READERS = (0.05, 0.2, 0.8)  # seconds
# What a disk answers that was open for writing and takes no more.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})


def ensure_folder(folder: str | Path, *, where: str) -> Path:
    """Make `folder` (and its parents), or raise `OutputError` saying what stands in the way."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise OutputError(
            f"{where}: the output place must be a folder. Got {folder}, where a file is in the way."
            " Name another folder, or move the file."
        ) from None
    except OSError as error:
        raise OutputError(
            f"{where}: the output folder must be writable. Got {folder}: {error.strerror or error}."
            " Name another folder."
        ) from error
    if not os.access(folder, os.W_OK):
        raise OutputError(
            f"{where}: the output folder must be writable. Got {folder}: permission denied. Name"
            " another folder."
        )
    return folder


@contextlib.contextmanager
def one_writer(lock: str | Path, refusal: str, *, seconds: float = 0) -> Iterator[None]:
    """Hold the file `lock` for as long as the block runs; another process is waited for so long.

    Raises OutputError if another process holds it (then `refusal` is said), or it cannot be made:
    no permission, no space.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock, timeout=seconds)
    try:
        held.acquire()
    except Timeout:
        raise OutputError(refusal) from None
    except OSError as error:
        raise OutputError(
            f"{lock}: the file must be writable. Got: {error.strerror or error}. Name another"
            " place, or free some space."
        ) from error
    try:
        yield
    finally:
        held.release()


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "wb", **kwargs: Any) -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`.

    On success fsync and rename it over `path`, on failure leave `path` as it was.

    The temporary file of a process that was killed is taken over by the next writer of the same
    file, so that none stay behind. Raises OutputError if the file cannot be opened, written to its
    end or renamed: no permission, no space.
    """
    path = Path(path)
    with _saying(path):
        handle, temporary = _open_temporary(path)
    done = False
    try:
        with _saying(path, _FULL), os.fdopen(handle, mode, **kwargs) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if _LOCKS:  # while the file is open: its lock keeps others from taking it over
                _put_in_place(temporary, path)
        if not _LOCKS:
            _put_in_place(temporary, path)
        done = True
    finally:
        if not done:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextlib.contextmanager
def _saying(path: Path, errors: frozenset[int] | None = None) -> Iterator[None]:
    """Errors of the system (with these numbers; any, if None) as one that names the file."""
    try:
        yield
    except OSError as error:
        if isinstance(error, OutputError) or (errors is not None and error.errno not in errors):
            raise
        raise OutputError(
            f"{path}: the file must be writable. Got: {error.strerror or error}. Name another"
            " place, or free some space."
        ) from error


def _put_in_place(temporary: Path, path: Path) -> None:
    with _saying(path):
        make_readable(temporary)
        # On Windows a file that somebody has open, often a virus scanner, cannot be replaced.
        for wait in () if _LOCKS else _WAITS_FOR_READERS:
            with contextlib.suppress(PermissionError):
                temporary.replace(path)
                return
            time.sleep(wait)
        temporary.replace(path)


def _open_temporary(path: Path) -> tuple[int, Path]:
    """A file beside `path` that is ours: its name is locked and fixed, or random."""
    if _LOCKS:
        with contextlib.suppress(OSError):
            fixed = path.with_name(f".{path.name}.writing")
            handle = os.open(fixed, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            if _is_ours(handle, fixed):
                os.ftruncate(handle, 0)
                return handle, fixed
            os.close(handle)
    found, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    return found, Path(name)


def _is_ours(handle: int, path: Path) -> bool:
    """Whether nobody else writes this file, and it still lies under this name alone."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        there, here = path.lstat(), os.fstat(handle)
    except OSError:
        return False
    return (there.st_dev, there.st_ino, here.st_nlink) == (here.st_dev, here.st_ino, 1)


def make_readable(path: Path) -> None:
    """Give a file that a library wrote for its owner alone the umask's permissions."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def open_regular(path: str | Path) -> io.BufferedReader:
    """Open a regular file for reading bytes; `OSError` for a pipe, device, socket or folder."""
    # Before it is opened: opening a device can do something.
    _check_regular(Path(path).stat().st_mode)
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check_regular(os.fstat(handle).st_mode)
    except OSError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(
            errno.EINVAL, "it is a folder" if stat.S_ISDIR(mode) else "it is no regular file"
        )


def read_file(path: str | Path, limit: int = MOST_TEXT_BYTES) -> bytes:
    """The bytes of a regular file; `OSError` where it holds more than `limit`."""
    with open_regular(path) as file:
        _check_size(file, limit)
        data = file.read(limit + 1)
    if len(data) > limit:  # it has grown meanwhile, or its size is not known before
        raise OSError(errno.EFBIG, f"it holds more than {limit:,} bytes")
    return data


def _check_size(file: io.BufferedReader, limit: int) -> None:
    if os.fstat(file.fileno()).st_size > limit:
        raise OSError(errno.EFBIG, f"it holds more than {limit:,} bytes")


def read_json(path: str | Path, limit: int = MOST_TEXT_BYTES) -> Any:
    """The JSON of a file; `OSError` or `ValueError` where it is too large, too deep or none."""
    try:
        return json.loads(read_file(path, limit).decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_record(
    path: str | Path, kind: type[_Record], writer: str, mend: str, limit: int = MOST_TEXT_BYTES
) -> _Record:
    """The record in a JSON file that `writer` wrote; `mend` says what to do about a damaged one.

    Raises BundleError if the file cannot be read, or holds something else.
    """
    try:
        return kind.model_validate_json(read_file(path, limit))
    except (ValueError, OSError) as error:
        got = in_a_line(error)
        raise BundleError(f"{path}: must be what {writer} wrote. Got: {got}. {mend}") from None


def read_lines(path: str | Path) -> Iterator[str]:
    """The lines of a text file in UTF-8, with ends; `ValueError` for one beyond a mebibyte."""
    with open_regular(path) as raw, io.TextIOWrapper(raw, "utf-8", newline="") as file:
        while line := file.readline(_MOST_LINE + 1):
            if len(line) > _MOST_LINE:
                raise ValueError(f"a line is longer than {_MOST_LINE:,} characters")
            yield line


def in_a_line(error: Exception) -> str:
    """What an error says, without its number and in one line of at most 200 characters.

    No error echoes what was read. Of a record that is not valid, it is the first fault.
    """
    if hasattr(error, "errors"):
        first = error.errors()[0]
        return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(words).splitlines()[0][:200]


def sha256(path: str | Path, limit: int = MOST_WEIGHT_BYTES) -> str:
    """SHA-256 of a regular file, in hex; `OSError` where it holds more than `limit` bytes."""
    with open_regular(path) as file:
        _check_size(file, limit)
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_sha256(path: str | Path, expected: str | None) -> bool:
    """Whether a regular file is there and has this SHA-256."""
    try:
        return sha256(path) == expected
    except OSError:
        return False


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file by name; executes nothing, and unpacks no more than 4 GiB.

    Raises BundleError if the file is damaged, or declares more.
    """
    import numpy as np

    try:
        with open_regular(path) as file:
            with zipfile.ZipFile(file) as archive:
                n_bytes = sum(member.file_size for member in archive.infolist())
            if n_bytes > _MOST_UNPACKED:
                raise BundleError(
                    f"{path}: must unpack to at most {_MOST_UNPACKED:,} bytes. Got {n_bytes:,}."
                    " Make it again."
                )
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
    except NUMPY_FAULTS as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(
            f"{path}: must be a whole .npz file that residua wrote. Got: {in_a_line(error)}. Make"
            " it again."
        ) from error


def checksum(body: Any) -> str:
    """SHA-256, in hex, of a value as JSON, however it is written.

    >>> checksum({"a": 1, "b": [2]}) == checksum({"b": [2], "a": 1})
    True
    """
    canonical = json.dumps(
        body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as strict JSON (no NaN, no infinities), atomically."""
    with atomic_write(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_write(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def sync_folder(folder: Path) -> None:
    """Make names in `folder` as durable as the files they stand for."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
