"""Means and bootstraps of images that were sampled in groups: coverage, refusals, and no change where
every image is a group of its own.
"""

from __future__ import annotations

import numpy as np
import pytest

from residua.errors import ShapeError
from residua.metrics import bootstrap_interval, mean_interval, paired_difference_interval


def views(rng: np.random.Generator, n_groups: int, size: int, share: float):
    """Groups and errors whose mean is 0; `share` of the variance is that of the group."""
    groups = np.repeat(np.arange(n_groups), size)
    own = rng.normal(size=n_groups)[groups]
    return groups, np.sqrt(share) * own + np.sqrt(1 - share) * rng.normal(size=len(groups))


def holds(estimate, truth: float = 0.0) -> bool:
    return estimate.low <= truth <= estimate.high


def test_intervals_by_groups_hold_the_mean_where_those_of_images_do_not():
    rng, by_groups, by_images = np.random.default_rng(0), 0, 0
    for seed in range(100):
        groups, values = views(rng, 20, 6, 0.9)
        by_groups += holds(mean_interval(values, groups=groups, seed=seed))
        by_images += holds(mean_interval(values, seed=seed))
    assert by_groups >= 90
    assert by_images <= 75


def test_the_order_of_groups_and_images_changes_no_interval():
    rng = np.random.default_rng(3)
    groups, values = views(rng, 20, 6, 0.5)
    order = rng.permutation(len(values))
    one, other = (
        mean_interval(values, groups=groups),
        mean_interval(values[order], groups=[f"part {29 - k}" for k in groups[order]]),
    )
    assert (other.low, other.high) == pytest.approx((one.low, one.high), rel=1e-9)


def test_the_effective_number_lies_between_groups_and_images():
    rng = np.random.default_rng(1)
    groups, values = views(rng, 60, 6, 0.9)
    estimate = mean_interval(values, groups=groups)
    assert estimate.n == 360
    assert estimate.n_groups == 60
    assert 60 <= estimate.n_effective < 90
    _, apart = views(rng, 60, 6, 0.0)
    assert mean_interval(apart, groups=groups).n_effective > 250


def test_one_image_a_group_changes_no_bound():
    values = np.random.default_rng(2).lognormal(size=40)
    alone, grouped = mean_interval(values), mean_interval(values, groups=np.arange(40))
    assert (alone.low, alone.high) == (grouped.low, grouped.high)
    assert grouped.n_groups is None
    alone, grouped = (
        bootstrap_interval(np.median, values, groups=one) for one in (None, np.arange(40))
    )
    assert (alone.low, alone.high) == (grouped.low, grouped.high)


@pytest.mark.parametrize(
    "interval", [mean_interval, lambda *a, **k: bootstrap_interval(np.mean, *a, **k)]
)
def test_few_groups_have_a_caveat_and_very_few_no_interval(interval):
    rng = np.random.default_rng(3)
    groups, values = views(rng, 7, 6, 0.5)
    few = interval(values, groups=groups)
    assert few.low is not None
    assert "7 groups" in few.caveat
    groups, values = views(rng, 4, 6, 0.5)
    refused = interval(values, groups=groups)
    assert refused.low is None
    assert refused.caveat.startswith("No interval: 4 groups")


def test_the_units_of_errors_do_not_matter():
    groups, values = views(np.random.default_rng(4), 15, 4, 0.5)
    large, small = (mean_interval(values * scale, groups=groups) for scale in (1, 1e-10))
    assert small.high == pytest.approx(large.high * 1e-10)


def test_groups_of_unequal_sizes_weigh_by_their_images():
    groups = np.array([0] * 10 + [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    estimate = mean_interval(np.arange(20.0), groups=groups)
    assert estimate.value == 9.5
    assert estimate.low < 9.5 < estimate.high
    assert estimate.n_effective < 20


def test_a_paired_difference_takes_groups():
    rng = np.random.default_rng(5)
    groups, gap = views(rng, 12, 5, 0.9)
    base = rng.normal(size=60)
    difference = paired_difference_interval(base + gap, base, groups=groups)
    assert difference.low == pytest.approx(mean_interval(gap, groups=groups).low)


def test_the_bootstrap_draws_whole_groups_within_strata():
    rng, held = np.random.default_rng(6), 0
    for seed in range(60):
        groups, values = views(rng, 20, 6, 0.9)
        held += holds(
            bootstrap_interval(
                lambda x: x.mean(axis=1), values, groups=groups, seed=seed, vectorised=True,
                n_resamples=200,
            )
        )  # fmt: skip
    assert held >= 52
    labels = np.repeat([0, 1], 30)
    drawn = bootstrap_interval(
        lambda x, y: float(x[y == 1].mean()), np.arange(60.0), labels, stratify=labels,
        groups=np.repeat(np.arange(20), 3),
    )  # fmt: skip
    assert 30 <= drawn.low < drawn.value < drawn.high <= 59


def test_groups_must_name_every_image():
    with pytest.raises(ShapeError, match="the group of every image"):
        mean_interval([1.0, 2.0, 3.0], groups=["a", "b"])


def test_a_mean_of_few_errors_says_that_rare_ones_may_be_missing():
    errors = np.random.default_rng(7).exponential(size=50)
    assert "rarer than 5.8% may be missing from these 50" in mean_interval(errors, least=0).caveat
    assert mean_interval(errors).caveat is None
    many = np.random.default_rng(8).exponential(size=1000)
    assert mean_interval(many, least=0).caveat is None
    groups = np.repeat(np.arange(200), 5)
    assert mean_interval(many, least=0, groups=groups).caveat.startswith("Groups of a kind rarer")
