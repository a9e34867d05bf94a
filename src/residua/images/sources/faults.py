"""What readers of array files throw at broken bytes, and the errors users see instead."""

from __future__ import annotations

from pathlib import Path

from residua.errors import SourceError


def too_large(path: Path, n_bytes: int, limit: int) -> SourceError:
    """The error of an array that would not fit the memory the user allows."""
    return SourceError(
        f"{path}: an array must fit in memory. Got {n_bytes:,} bytes where {limit:,} are allowed."
        " Raise memory_megabytes."
    )


def unreadable(path: Path, error: Exception) -> SourceError:
    """The error of a file that NumPy does not read."""
    if "allow_pickle" in str(error) or "Python objects" in str(error):
        got, mend = "Python objects, which would have to be executed", "Save numbers, not objects"
    else:
        got, mend = (
            str(error) or type(error).__name__,
            "Write it again with numpy.save or numpy.savez",
        )
    return SourceError(
        f"{path}: a {path.suffix} file must hold whole arrays of numbers. Got: {got}. {mend}."
    )
