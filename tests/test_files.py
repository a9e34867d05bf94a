"""Files are whole or absent, and the reason is said when they can't be written."""

from __future__ import annotations

import errno
import json
import os
import stat

import pytest

from residua._files import atomic_write, ensure_folder, write_json, write_text
from residua.errors import OutputError

as_root = pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere"
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_with_nothing_beside_it(tmp_path):
    with atomic_write(tmp_path / "a.bin") as file:
        file.write(b"abc")
        assert not (tmp_path / "a.bin").exists()
    assert (tmp_path / "a.bin").read_bytes() == b"abc"
    assert names(tmp_path) == ["a.bin"]


def test_a_failure_leaves_the_old_file_and_no_part(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), atomic_write(path) as file:
        file.write(b"new")
        raise KeyError("stop")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_what_a_killed_writer_left_is_taken_over_and_not_added_to(tmp_path):
    (tmp_path / ".a.bin.writing").write_bytes(b"the half of something much longer")
    with atomic_write(tmp_path / "a.bin") as file:
        file.write(b"abc")
    assert (tmp_path / "a.bin").read_bytes() == b"abc"
    assert names(tmp_path) == ["a.bin"]


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "a.bin"
    with atomic_write(path) as first:
        first.write(b"first")
        with atomic_write(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
        first.write(b" and last")
    assert path.read_bytes() == b"first and last"
    assert names(tmp_path) == ["a.bin"]


def test_a_link_that_somebody_laid_is_not_followed(tmp_path):
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / ".a.bin.writing").symlink_to(tmp_path / "victim")
    with atomic_write(tmp_path / "a.bin") as file:
        file.write(b"abc")
    assert (tmp_path / "victim").read_bytes() == b"mine"
    os.link(tmp_path / "victim", tmp_path / ".b.bin.writing")
    write_text(tmp_path / "b.bin", "abc")
    assert (tmp_path / "victim").read_bytes() == b"mine"


def test_a_disk_that_is_full_is_an_output_error_and_other_errors_stay_what_they_are(tmp_path):
    with (
        pytest.raises(OutputError, match="No space left on device"),
        atomic_write(tmp_path / "a.bin"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.bin"):
        (tmp_path / "nowhere").read_bytes()
    assert names(tmp_path) == []


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    write_text(tmp_path / "a.txt", "x")
    (tmp_path / "b.txt").write_text("x")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "b.txt").stat().st_mode
    )


@pytest.mark.parametrize("target", ["missing/a.txt", "file/a.txt", "folder"])
def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path, target):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="must be writable"):
        write_text(tmp_path / target, "x")
    assert names(tmp_path) == ["file", "folder"]


def test_json_is_strict_and_a_failed_write_leaves_nothing(tmp_path):
    write_json(tmp_path / "a.json", {"ä": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"ä": [1, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", float("nan"))
    assert names(tmp_path) == ["a.json"]


def test_text_keeps_its_line_ends(tmp_path):
    write_text(tmp_path / "a.txt", "a\nb\r\n")
    assert (tmp_path / "a.txt").read_bytes() == b"a\nb\r\n"


def test_a_folder_is_made_with_its_parents_and_may_be_there(tmp_path):
    assert ensure_folder(tmp_path / "a" / "b", where="fit").is_dir()
    assert ensure_folder(tmp_path / "a" / "b", where="fit").is_dir()


@pytest.mark.parametrize("target", ["file", "file/deeper", "file/deeper/still"])
def test_a_file_where_the_folder_should_be_is_named(tmp_path, target):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"fit: .*a file is in the way"):
        ensure_folder(tmp_path / target, where="fit")


@as_root
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="writable"):
        ensure_folder(tmp_path, where="fit")
