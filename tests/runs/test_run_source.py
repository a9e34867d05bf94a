"""The source in a run that somebody sent: no address of a stranger's choice is asked."""

from __future__ import annotations

import pytest

from residua.errors import SourceError
from residua.runs.origin import find_run_source, mark_of_here

URLS = [
    "http://10.0.0.7/set.tar",
    "s3://bucket/parts",
    "file:///etc",
    "file:/etc",
    "https+zip://x/y",
]


@pytest.mark.parametrize("url", URLS)
def test_a_url_of_a_run_from_elsewhere_must_be_named(url):
    for mark in (
        "",
        "0" * 64,
        mark_of_here("/another/folder", url),
        mark_of_here("/home/me", "s3://my-own/parts"),
    ):
        with pytest.raises(SourceError, match=r"must be named by you.*residua evaluate RUN"):
            find_run_source(url, "/home/me", mark)
    assert find_run_source(url, "/home/me", "", named=True) == url


@pytest.mark.parametrize("url", URLS)
def test_a_url_of_a_run_that_was_begun_here_is_taken(url):
    assert find_run_source(url, "/home/me", mark_of_here("/home/me", url)) == url


def test_a_relative_folder_is_found_from_where_the_run_was_begun(tmp_path):
    (tmp_path / "parts").mkdir()
    assert find_run_source("parts", str(tmp_path), "") == str(tmp_path / "parts")
    assert find_run_source("gone", str(tmp_path), "") == "gone"
    assert find_run_source("digits", "", "") == "digits"
