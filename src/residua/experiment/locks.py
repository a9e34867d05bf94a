"""One process at a time writes a run, or a file of scores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from residua.errors import OutputError


@contextmanager
def one_writer(lock: str | Path, refusal: str) -> Iterator[None]:
    """Hold the file `lock` for as long as the block runs.

    Raises
    ------
    OutputError
        If another process holds it (then `refusal` is said), or it cannot be made: no permission, no space.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock, timeout=0)
    try:
        held.acquire()
    except Timeout:
        raise OutputError(refusal) from None
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{lock}: the file must be writable. Got: {reason}. Name another place, or free some space.") from error
    try:
        yield
    finally:
        held.release()
