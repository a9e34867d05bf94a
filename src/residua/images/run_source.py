"""The source that a run names.

Found again on this machine, and never asked for over a network on a stranger's word.
"""

from __future__ import annotations

import getpass
import hashlib
import uuid
from pathlib import Path

from residua.errors import SourceError
from residua.images.stores import is_url


def mark_of_here(working_folder: str, source: str) -> str:
    """A mark of this machine, the user, the folder and the source that a run was begun with.

    Strangers cannot make it, and the mark of a run that was given away holds for its own source
    alone.
    """
    try:
        machine = Path("/etc/machine-id").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        machine = ""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = ""
    told = "\0".join((machine or f"{uuid.getnode():x}", user, working_folder, source))
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def find_run_source(source: str, working_folder: str, mark: str, *, named: bool = False) -> str:
    """The source of a run: a relative one from where the run was begun, if it is still there.

    A URL is taken only from a run that was begun here, or where the user has `named` it: whoever
    sends a run would else choose which addresses this machine asks.

    Raises
    ------
    SourceError
        For a URL of a run from elsewhere that was not named.
    """
    if is_url(source) or source.startswith("file:"):
        if not named and mark != mark_of_here(working_folder, source):
            raise SourceError(
                f"{source}: the URL in a run that was not made here must be named by you. It was"
                f" not. Name it: residua evaluate RUN {source}"
            )
        return source
    there = Path(working_folder) / source
    return str(there) if working_folder and source and there.exists() else source
