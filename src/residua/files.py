"""Writing files so that each is whole or absent: temporary name, fsync, rename."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from residua.errors import OutputError


def ensure_folder(folder: str | Path, *, where: str) -> Path:
    """Make `folder` (and its parents), or raise `OutputError` saying what stands in the way."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise OutputError(
            f"{where}: the output place must be a folder. Got {folder}, where a file is in the way. "
            "Name another folder, or move the file."
        ) from None
    except OSError as error:
        raise OutputError(
            f"{where}: the output folder must be writable. Got {folder}: {error.strerror or error}. Name another folder."
        ) from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{where}: the output folder must be writable. Got {folder}: permission denied. Name another folder.")
    return folder


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "wb", **kwargs: Any) -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; on success fsync and rename it over `path`, on failure leave `path` as it was."""
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise OutputError(f"{path}: the file must be writable. Got: {error.strerror or error}. Name another place.") from error
    try:
        with os.fdopen(handle, mode, **kwargs) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        try:
            Path(temporary).replace(path)
        except OSError as error:
            raise OutputError(
                f"{path}: the file must be writable. Got: {error.strerror or error}. Name another place."
            ) from error
        _sync_folder(path.parent)
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as strict JSON (no NaN, no infinities), atomically."""
    with atomic_write(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_write(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
