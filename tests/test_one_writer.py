"""One writer at a time."""

from __future__ import annotations

import errno
import os
import sys

import pytest

from residua._files import one_writer
from residua.errors import OutputError


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path):
    first = one_writer(tmp_path / "lock", "taken")
    with first, pytest.raises(OutputError, match="taken"), one_writer(tmp_path / "lock", "taken"):
        pytest.fail("two writers at once")
    with one_writer(tmp_path / "lock", "taken"):
        pass


def test_a_lock_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(OutputError, match="must be writable"),
        one_writer(tmp_path / "file" / "lock", "taken"),
    ):
        pytest.fail("locked nothing")


_full = False


def _hook(event, given):
    if _full and event == "open" and str(given[0]).endswith(".lock"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_no_room_for_a_lock_is_a_sentence(tmp_path, monkeypatch):
    sys.addaudithook(_hook)
    monkeypatch.setattr(sys.modules[__name__], "_full", True)
    with pytest.raises(OutputError, match="No space left"), one_writer(tmp_path / ".lock", "taken"):
        pytest.fail("locked nothing")
