"""Checks of what callers pass."""

from __future__ import annotations

import math

import pytest

from residua._check import check_within
from residua.errors import RangeError


@pytest.mark.parametrize(
    ("value", "interval", "words"),
    [
        (0, "(0, 1)", "k must lie between 0 and 1, both excluded. Got 0. Pass 0.5."),
        (math.nan, "(0, 1]", "k must lie between 0 and 1, 0 excluded. Got nan. Pass 0.5."),
        (1.0, "[0, 1)", "k must lie between 0 and 1, 1 excluded. Got 1.0. Pass 0.5."),
        (-1, "[0, 1]", "k must lie between 0 and 1. Got -1. Pass 0.5."),
        (0, "[1, inf)", "k must be at least 1. Got 0. Pass 0.5."),
    ],
)
def test_a_number_outside_its_interval_is_refused(value, interval, words):
    with pytest.raises(RangeError) as refused:
        check_within("here", "k", value, interval, "Pass 0.5")
    assert str(refused.value) == f"here: {words}"


@pytest.mark.parametrize(
    ("value", "interval"), [(1, "(0, 1]"), (0, "[0, 1)"), (1e9, "[1, inf)"), (math.inf, "[0, inf)")]
)
def test_a_number_at_an_end_that_is_included_passes(value, interval):
    check_within("here", "k", value, interval, "Pass 0.5")
