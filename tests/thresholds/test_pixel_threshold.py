"""The pixel threshold: few new normal images exceed it anywhere."""

from __future__ import annotations

import numpy as np
import pytest

from residua.errors import RangeError
from residua.thresholds import pixel_threshold_of


@pytest.mark.parametrize("n", [19, 30, 200])
def test_on_average_a_twentieth_of_new_normals_exceeds_it_at_most(n):
    rng = np.random.default_rng(0)
    exceeded = [
        1 - pixel_threshold_of(rng.random(n)) for _ in range(2000)
    ]  # uniform peaks: the chance of a new one
    assert 0.04 / (1 + 20 / n) < np.mean(exceeded) < 0.052


def test_too_few_normals_have_none():
    assert pixel_threshold_of(np.arange(18)) is None
    assert pixel_threshold_of([]) is None
    assert pixel_threshold_of(np.arange(9), share=0.1) == 8


def test_bad_peaks_are_refused():
    with pytest.raises(RangeError):
        pixel_threshold_of([np.nan, 1.0])
    with pytest.raises(RangeError, match="share"):
        pixel_threshold_of([1.0], share=1.0)
