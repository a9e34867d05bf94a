"""Whatever lies under a name: a result or a sentence, in bounded memory and without waiting."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from residua import _files as files
from residua.errors import BundleError, LabelError, SourceError
from residua.evaluation.verification import verify_report
from residua.images import ImageSet, load_images

posix = pytest.mark.skipif(os.name != "posix", reason="pipes and devices by name are of POSIX")


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@posix
@pytest.mark.parametrize(
    "read",
    [files.read_file, files.read_json, files.sha256, lambda path: list(files.read_lines(path))],
)
def test_a_pipe_a_device_and_a_folder_are_refused_at_once(pipe, read):
    for path in (pipe, "/dev/zero", "/dev/tty0"):
        with pytest.raises(OSError, match=r"no regular file|No such file"):
            read(path)
    with pytest.raises(OSError, match="it is a folder"):
        read(pipe.parent)


def test_no_more_is_read_than_the_limit(tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="more than 100 bytes"):
        files.read_file(tmp_path / "sparse", 100)
    (tmp_path / "whole").write_bytes(b"x" * 100)
    assert files.read_file(tmp_path / "whole", 100) == b"x" * 100


def test_json_that_is_too_deep_is_a_value_error(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 5_000_000)
    with pytest.raises(ValueError, match="deep"):
        files.read_json(tmp_path / "deep.json")


def test_a_line_without_an_end_is_refused_and_whole_lines_keep_theirs(tmp_path):
    (tmp_path / "one.csv").write_text("a,b\n1,2\n", newline="")
    assert list(files.read_lines(tmp_path / "one.csv")) == ["a,b\n", "1,2\n"]
    (tmp_path / "long.csv").write_text("x" * (2 << 20))
    with pytest.raises(ValueError, match="longer than"):
        list(files.read_lines(tmp_path / "long.csv"))


def test_an_error_is_one_short_line():
    assert files.in_a_line(ValueError("first\nsecond")) == "first"
    assert len(files.in_a_line(ValueError("x" * 10_000))) == 200
    assert files.in_a_line(OSError(22, "it is no regular file")) == "it is no regular file"


@posix
def test_verify_refuses_a_pipe_and_a_device(pipe):
    for path in (pipe, "/dev/zero"):
        with pytest.raises(SourceError, match="no regular file"):
            verify_report(path)


@posix
def test_arrays_of_a_pipe_are_refused(pipe):
    with pytest.raises(BundleError, match="no regular file"):
        files.read_arrays(pipe)


def test_arrays_are_read_from_a_whole_file(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.arange(3))
    assert zipfile.is_zipfile(tmp_path / "x.npz")
    assert files.read_arrays(tmp_path / "x.npz")["a"].tolist() == [0, 1, 2]


def test_a_tar_header_that_declares_gigabytes_is_refused_before_they_are_read(tmp_path):
    header = bytearray(512)
    header[:9] = b"PaxHeader"
    header[124:136] = b"%011o\0" % (2 << 30)
    header[156:157] = b"x"
    header[257:265] = b"ustar\x0000"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with open(tmp_path / "x.tar", "wb") as file:
        file.write(header)
        file.truncate(3 << 30)
    with pytest.raises(SourceError, match="a header declares 2,147,483,648 bytes"):
        load_images(tmp_path / "x.tar")


@pytest.mark.parametrize("size", [(1_000_000, 1), (1, 100_000), (60_000, 100)])
def test_a_picture_far_longer_than_wide_is_quarantined_with_the_reason(tmp_path, size):
    Image.new("1", size).save(tmp_path / "long.png")
    Image.new("1", (40, 8)).save(tmp_path / "plain.png")
    images = load_images(tmp_path)
    assert [path for path, _ in images.quarantined] == ["long.png"]
    assert "a side" in images.quarantined[0].reason


def test_a_line_scan_of_ordinary_proportions_is_read(tmp_path):
    Image.new("1", (8000, 40)).save(tmp_path / "scan.png")
    assert load_images(tmp_path).sizes.tolist() == [[40, 8000]]


_PEAK = """
import resource, sys
import numpy as np
from residua.images.resize import fit_to, resize
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for height, width in ((1, 1_000_000), (1_000_000, 1)):
    image = np.full((height, width, 1), 200, np.uint8)
    assert (resize(image, (256, 256)) == 200).all()
    assert np.allclose(fit_to(image[np.newaxis], (256, 256)), 200 / 255)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@posix
def test_resizing_a_long_line_takes_memory_that_follows_its_pixels():
    """A dense matrix of 256 by 1,000,000 weights took 3 GB."""
    done = subprocess.run([sys.executable, "-c", _PEAK], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200


def test_a_label_of_megabytes_is_told_by_its_length():
    with pytest.raises(
        LabelError, match=r"at most 1,000 characters\. Got one of 10,000,000"
    ) as refused:
        ImageSet.from_arrays(np.zeros((2, 4, 4), np.uint8), labels=["good", "x" * 10_000_000])
    assert len(str(refused.value)) < 500
