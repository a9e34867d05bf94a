"""How much a tuned threshold flatters, and how many images a promise takes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from residua.errors import LabelError, PolicyError, RangeError
from residua.thresholds import (
    choose_threshold,
    is_flagged,
    plan,
    plan_difference,
    threshold_optimism,
)

RARE = np.arange(120) < 20


def test_cross_fitting_estimates_the_f1_that_fresh_images_give() -> None:
    """100 normals and 20 anomalies: tuned on test F1 reads about 0.51, on fresh images about
    0.42."""
    rng = np.random.default_rng(0)
    fresh_labels = np.arange(12_000) < 2000
    told, fresh = [], []
    for seed in range(25):
        scores, fresh_scores = rng.normal(size=120) + RARE, rng.normal(size=12_000) + fresh_labels
        told.append(threshold_optimism("max-f1", scores, RARE, n_repeats=5, seed=seed))
        flagged = is_flagged(fresh_scores, choose_threshold("max-f1", scores, RARE).threshold)
        fresh.append(2 * (flagged & fresh_labels).sum() / (flagged.sum() + fresh_labels.sum()))
    apparent, honest = (
        np.mean([getattr(one, name) for one in told]) for name in ("apparent", "honest")
    )
    assert apparent - np.mean(fresh) > 0.06
    assert abs(honest - np.mean(fresh)) < 0.04


def test_optimism_is_zero_for_a_fixed_threshold() -> None:
    scores = np.random.default_rng(1).normal(size=120) + RARE
    for rate in ("f1", "precision", "recall", "false_alarm_rate"):
        assert threshold_optimism(
            0.5, scores, RARE, rate=rate, n_repeats=2
        ).optimism == pytest.approx(0)


def test_optimism_of_separated_scores_is_zero_and_the_seed_decides() -> None:
    scores = RARE + np.random.default_rng(2).random(120) / 2
    assert threshold_optimism("max-f1", scores, RARE).optimism == 0
    noisy = np.random.default_rng(2).normal(size=120) + RARE
    assert threshold_optimism("max-f1", noisy, RARE, seed=3) == threshold_optimism(
        "max-f1", noisy, RARE, seed=3
    )


def test_a_large_set_is_judged_by_a_part_of_it() -> None:
    labels = np.arange(60_000) % 10 == 0
    scores = np.random.default_rng(3).normal(size=60_000) + labels
    told = threshold_optimism("max-f1", scores, labels, n_repeats=1)
    assert told.n_images == 20_000
    assert abs(told.optimism) < 0.01


def test_one_kind_only_has_no_optimism_to_estimate() -> None:
    with pytest.raises(LabelError, match="at least two images of each kind"):
        threshold_optimism("max-f1", np.arange(10.0), np.zeros(10))
    with pytest.raises(PolicyError, match="rate must be"):
        threshold_optimism("max-f1", np.arange(10.0), np.arange(10) % 2, rate="accuracy")


@pytest.mark.parametrize(
    ("policy", "kind", "numbers"),
    [
        ("recall>=0.99", "anomalous", [299, 473, 628]),
        ("false-alarms<=0.01", "normal", [299, 473, 628]),
        ("recall>=0.95", "anomalous", [59, 93, 124]),
        ("precision>=0.9", "flagged", [29, 46, 61]),
        ("quantile:0.99", "normal", [99]),
    ],
)
def test_the_plan_counts_the_right_images(policy: str, kind: str, numbers: list[int]) -> None:
    told = plan(policy)
    assert (told.kind, [row.n_images for row in told.rows]) == (kind, numbers)
    assert str(numbers[0]) in told.meaning


@pytest.mark.parametrize("row", plan("recall>=0.9", misses=(0, 3, 7)).rows)
def test_with_a_plans_images_the_clopper_pearson_bound_reaches_the_promise_and_with_one_less_it_does_not(
    row,
) -> None:
    def lower_bound(n: int) -> float:
        return stats.beta.ppf(0.05, n - row.n_faults, row.n_faults + 1)

    assert lower_bound(row.n_images) >= 0.9 > lower_bound(row.n_images - 1)


@pytest.mark.parametrize("policy", ["max-f1", "cost:20:1", "0.5"])
def test_a_policy_that_promises_nothing_cannot_be_planned(policy: str) -> None:
    with pytest.raises(PolicyError, match="must promise a rate"):
        plan(policy)


def test_the_unpaired_plan_finds_the_difference_as_often_as_it_says() -> None:
    n = plan_difference(0.8, 0.9).n_unpaired
    rng = np.random.default_rng(4)
    first, second = rng.binomial(n, 0.8, 4000) / n, rng.binomial(n, 0.9, 4000) / n
    pooled = (first + second) / 2
    z = (second - first) / np.sqrt(2 * pooled * (1 - pooled) / n)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.03)


def test_the_paired_plan_finds_the_difference_of_independent_errors_as_often_as_it_says() -> None:
    n = plan_difference(0.8, 0.9).n_paired
    rng = np.random.default_rng(5)
    gained, lost = rng.multinomial(n, [0.2 * 0.9, 0.8 * 0.1, 0.74], 4000)[:, :2].T
    z = (gained - lost) / np.sqrt(gained + lost)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.03)


def test_a_smaller_difference_takes_more_images_and_coinciding_errors_fewer() -> None:
    near, far = plan_difference(0.90, 0.92), plan_difference(0.90, 0.95)
    assert near.n_unpaired > far.n_unpaired
    assert far.n_paired_least < far.n_paired


def test_bad_plans_are_refused() -> None:
    with pytest.raises(RangeError, match="must differ"):
        plan_difference(0.9, 0.9)
    with pytest.raises(RangeError, match="first must lie between 0 and 1"):
        plan_difference(90, 0.95)
    with pytest.raises(RangeError, match="misses"):
        plan("recall>=0.9", misses=(-1,))


def test_a_plan_in_groups_counts_groups_and_is_what_the_threshold_then_takes() -> None:
    told = plan("false-alarms<=0.05", group_size=6)
    by_share = {row.share: row.n_groups for row in told.rows if row.n_faults == 0}
    assert by_share == {0.0: 40, 0.3: 40, 0.6: 40, 0.9: 55, None: 59}
    assert [row.n_images for row in told.rows if row.share is None] == [354, 558, 744]
    assert "59 groups with no false alarms" in told.meaning
    rng = np.random.default_rng(3)
    for n_groups, promised in ((59, True), (38, False)):
        scores, groups = rng.normal(size=6 * n_groups), np.repeat(np.arange(n_groups), 6)
        if promised:
            choose_threshold("false-alarms<=0.05", scores, groups=groups)
        else:
            with pytest.raises(PolicyError, match="59 groups"):
                choose_threshold("false-alarms<=0.05", scores, groups=groups)
    assert plan("quantile:0.95", group_size=6).rows[0].n_groups == 19


def test_a_difference_between_models_takes_as_many_times_the_images_as_they_are_alike() -> None:
    alone, alike = plan_difference(0.9, 0.95), plan_difference(0.9, 0.95, group_size=4)
    assert (alike.n_paired, alike.n_unpaired) == (4 * alone.n_paired, 4 * alone.n_unpaired)
    with pytest.raises(RangeError, match="group_size"):
        plan_difference(0.9, 0.95, share_of_group=0.5)


def test_groups_are_cross_fitted_whole() -> None:
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(30), 10)
    labels = groups % 3 == 0
    part = rng.normal(size=30)[groups]
    scores = part + 0.1 * rng.normal(size=300) + labels
    alone, whole = (
        threshold_optimism("max-f1", scores, labels, groups=given, n_repeats=5).optimism
        for given in (None, groups)
    )
    assert whole > alone + 0.02
    with pytest.raises(LabelError, match="two groups"):
        threshold_optimism("max-f1", scores, groups == 0, groups=groups)
