"""The threshold of those who name no policy: one kind of promise, whatever the number of images."""

from __future__ import annotations

import numpy as np
import pytest

from residua.errors import PolicyError
from residua.thresholds import choose_threshold
from residua.thresholds.bounds import allowed_faults
from residua.thresholds.defaults import choose_operating_point

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("n", [1, 2, 5, 12, 19, 40, 58, 59, 300])
def test_the_default_is_the_smallest_bound_in_steps_of_five_percent_that_is_shown(n, confidence):
    scores = RNG.normal(size=n)
    point = choose_operating_point(scores, np.zeros(n, bool), None, confidence=confidence)
    kind, rate = point.policy.split("<=")
    assert kind == "false-alarms"
    assert allowed_faults(n, float(rate), confidence) is not None
    if float(rate) > 0.05:
        assert allowed_faults(n, round(float(rate) - 0.05, 9), confidence) is None


def test_the_default_says_what_it_promises_and_what_five_percent_would_take():
    scores = RNG.normal(size=40)
    few = choose_operating_point(scores, np.zeros(40, bool), None).how
    assert "95% confidence (one-sided), that at most 10% of normal images like these" in few
    assert "it may flag none of the 40 normal calibration images, and it flags none." in few
    assert few.endswith("To promise 5%, it takes 59 such images.")
    enough = choose_operating_point(RNG.normal(size=300), np.zeros(300, bool), None).how
    assert "it may flag up to 8 of the 300 normal calibration images, and it flags 8." in enough
    assert "To promise" not in enough


def test_the_default_counts_groups_and_with_few_it_speaks_of_the_known_ones():
    scores, groups = RNG.normal(size=240), np.arange(240) // 8
    thirty = choose_operating_point(scores, np.zeros(240, bool), None, groups=groups)
    assert (thirty.policy, thirty.promise) == ("false-alarms<=0.1", "new groups")
    assert thirty.how.endswith("To promise 5%, it takes 59 groups of such images.")
    twelve = choose_operating_point(scores, np.zeros(240, bool), None, groups=groups % 12)
    assert (twelve.policy, twelve.promise) == ("false-alarms<=0.05", "known groups")


def test_a_refused_promise_names_the_one_that_the_images_can_show():
    with pytest.raises(PolicyError, match=r"take false-alarms<=0\.15, which they can show, or"):
        choose_threshold("false-alarms<=0.01", np.arange(20.0))


def test_nothing_is_chosen_without_a_normal_image():
    with pytest.raises(PolicyError, match="needs normal images in the calibration set"):
        choose_operating_point(np.arange(3.0), np.ones(3, bool), None)
