"""Bounds of a mean that cannot leave an interval: of a share, of losses near 0."""

from __future__ import annotations

import numpy as np
import pytest

from residua.metrics.divergence import mean_bounds
from residua.metrics.intervals import rate_interval
from residua.metrics.reported import estimates_of
from residua.metrics.samples import ClassProbabilities

BUDGET = 1.959964**2


@pytest.mark.parametrize("hits", [0, 1, 7, 20])
def test_of_a_share_the_bounds_are_wilsons_or_just_outside(hits: int) -> None:
    wilson = rate_interval(hits, 20)
    low, high = mean_bounds(np.arange(20) < hits, BUDGET / 20, least=0, most=1)
    assert wilson.low - 0.08 < low <= wilson.low + 1e-6
    assert wilson.high - 1e-6 <= high < wilson.high + 0.08


def test_of_many_values_they_are_students() -> None:
    values = np.random.default_rng(0).beta(2, 5, 4000)
    low, high = mean_bounds(values, BUDGET / 4000, least=0, most=1)
    half = 1.96 * values.std() / 4000**0.5
    assert (values.mean() - low, high - values.mean()) == pytest.approx((half, half), rel=0.05)


def confident(rng: np.random.Generator, n: int) -> ClassProbabilities:
    """Sure of every image, and wrong in 3%."""
    said = rng.integers(2, size=n)
    sure = 1 - rng.uniform(0.0001, 0.01, n)
    p = np.where(np.arange(2) == said[:, np.newaxis], sure[:, np.newaxis], 1 - sure[:, np.newaxis])
    return ClassProbabilities(true=np.where(rng.random(n) < 0.03, 1 - said, said), probabilities=p)


@pytest.mark.parametrize("name", ["log_loss", "brier_score"])
def test_losses_near_0_of_twenty_images_hold_the_truth(name: str) -> None:
    truth = estimates_of(confident(np.random.default_rng(1), 200_000))[name].value
    rng = np.random.default_rng(2)
    found = [estimates_of(confident(rng, 20))[name] for _ in range(100)]
    assert sum(one.low <= truth <= one.high for one in found) >= 93


def test_losses_that_are_all_alike_have_bounds() -> None:
    p = np.tile([0.9, 0.1], (30, 1))
    found = estimates_of(ClassProbabilities(true=np.zeros(30, np.int64), probabilities=p))
    assert found["log_loss"].low < 0.11 < found["log_loss"].high < np.log(10)
    assert found["brier_score"].low < 0.01 < found["brier_score"].high < 0.2
