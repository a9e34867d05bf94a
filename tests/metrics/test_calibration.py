"""Calibration error without the part of chance: of calibrated, overconfident and certain models."""

from __future__ import annotations

import numpy as np
import pytest

from residua.metrics.calibration import calibration_error_of
from residua.metrics.reported import estimates_of
from residua.metrics.samples import ClassProbabilities


@pytest.mark.parametrize(("gap", "n"), [(0.0, 100), (0.0, 2000), (0.1, 300), (0.1, 2000)])
def test_its_interval_holds_the_truth(gap: float, n: int) -> None:
    rng, held = np.random.default_rng(1), 0
    for seed in range(100):
        confidence = rng.uniform(0.6, 1, n)
        right = rng.random(n) < confidence - gap
        told = calibration_error_of(confidence, right, seed=seed)
        assert 0 <= told.low <= told.value <= told.high <= 1
        held += told.low <= gap <= told.high
    assert held >= 92


def test_of_a_calibrated_model_it_is_far_below_the_mean_of_gaps() -> None:
    rng = np.random.default_rng(2)
    confidence = rng.uniform(0.5, 1, 1000)
    told = [calibration_error_of(confidence, rng.random(1000) < confidence) for _ in range(20)]
    assert np.mean([one.value for one in told]) < 0.5 * np.mean([one.observed for one in told])


def test_of_a_large_gap_it_is_the_mean_of_gaps() -> None:
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.7, 1, 5000)
    told = calibration_error_of(confidence, rng.random(5000) < confidence - 0.3)
    assert told.value == pytest.approx(told.observed, abs=0.002) == pytest.approx(0.3, abs=0.02)


def test_twenty_certain_images_that_are_right_do_not_show_that_all_are() -> None:
    told = calibration_error_of(np.ones(20), np.ones(20, np.bool_))
    assert (told.value, told.low) == (0, 0)
    assert told.high == pytest.approx(0.161, abs=0.001)


def test_the_same_seed_gives_the_same_bounds_and_no_image_gives_none() -> None:
    p = np.random.default_rng(4).dirichlet(np.ones(3), 60)
    sample = ClassProbabilities(true=np.arange(60) % 3, probabilities=p)
    name = "expected_calibration_error"
    assert estimates_of(sample)[name] == estimates_of(sample)[name]
    empty = ClassProbabilities(true=np.zeros(0, np.int64), probabilities=np.zeros((0, 3)))
    assert estimates_of(empty)[name].value is None
