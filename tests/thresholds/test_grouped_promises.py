"""Thresholds from images in groups: what is promised, of whom, and how often it holds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from residua.errors import PolicyError
from residua.thresholds import choose_threshold
from residua.thresholds.bounds import allowed_faults, chance_of_at_most, chance_of_mean
from residua.thresholds.defaults import choose_operating_point


def scores_in_groups(
    n_groups: int, size: int, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    groups = np.repeat(np.arange(n_groups), size)
    scores = np.sqrt(share) * rng.normal(size=n_groups)[groups]
    return scores + np.sqrt(1 - share) * rng.normal(size=len(groups)), groups


@pytest.mark.parametrize(("n", "faults", "rate"), [(59, 0, 0.05), (100, 2, 0.05), (40, 7, 0.3)])
def test_the_bound_of_groups_of_one_is_the_binomial_one(n: int, faults: int, rate: float) -> None:
    shares = (np.arange(n) < faults).astype(float)
    assert chance_of_mean(shares, rate) == pytest.approx(chance_of_at_most(faults, n, rate), 1e-6)


def test_the_bound_of_groups_is_that_of_drawn_exponentials() -> None:
    rng = np.random.default_rng(0)
    shares = rng.choice([0, 0.25, 0.5], p=[0.9, 0.07, 0.03], size=80)
    drawn = (
        rng.exponential(size=(20_000, 80)) @ (shares - 0.06) + rng.exponential(size=20_000) * 0.94
    )
    assert chance_of_mean(shares, 0.06) == pytest.approx((drawn > 0).mean(), abs=0.01)


@pytest.mark.parametrize("policy", ["false-alarms<=0.05", "quantile:0.95", "recall>=0.9"])
def test_every_image_a_group_of_its_own_changes_nothing(policy: str) -> None:
    scores = np.random.default_rng(1).normal(size=200)
    labels = np.arange(200) >= 120
    alone = choose_threshold(policy, scores, labels)
    named = choose_threshold(policy, scores, labels, groups=[f"part {i}" for i in range(200)])
    assert alone == named
    assert alone.promise is None


def test_new_groups_get_a_higher_threshold_than_known_ones_and_each_is_named() -> None:
    scores, groups = scores_in_groups(100, 6, 0.6, np.random.default_rng(2))
    new, known = (
        choose_threshold("false-alarms<=0.05", scores, groups=groups, promise=promise)
        for promise in ("new-groups", "known-groups")
    )
    assert new.threshold > known.threshold
    assert (new.promise, known.promise) == ("new groups", "known groups")
    assert "of normal images of new groups are flagged" in new.how
    assert "For new images of these 100 groups the same threshold shows at most" in new.how
    assert "of new normal images of these 100 groups are flagged" in known.how
    assert "promises nothing" in known.how
    assert (scores > known.threshold).sum() == allowed_faults(600, 0.05, 0.95)


def test_misses_of_whole_groups_mirror_false_alarms() -> None:
    scores, groups = scores_in_groups(70, 4, 0.5, np.random.default_rng(3))
    alarms = choose_threshold("false-alarms<=0.1", scores, groups=groups)
    recall = choose_threshold("recall>=0.9", -scores, np.ones(280, bool), groups=groups)
    assert recall.threshold == pytest.approx(-alarms.threshold, rel=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_a_promise_for_new_groups_holds(share: float) -> None:
    rng = np.random.default_rng(4)
    kept = []
    for _ in range(150):
        scores, groups = scores_in_groups(80, 6, share, rng)
        point = choose_threshold("false-alarms<=0.1", scores, groups=groups)
        kept.append(stats.norm.sf(point.threshold) <= 0.1)
    assert np.mean(kept) >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 150)


def test_a_quantile_over_groups_keeps_its_average() -> None:
    rng = np.random.default_rng(5)
    alarms = []
    for _ in range(200):
        scores, groups = scores_in_groups(40, 6, 0.9, rng)
        point = choose_threshold("quantile:0.9", scores, groups=groups)
        alarms.append(stats.norm.sf(point.threshold))
    assert np.mean(alarms) <= 0.1 + 2 * np.std(alarms) / np.sqrt(200)


def test_groups_too_few_are_refused_with_what_it_takes_and_what_can_be_said() -> None:
    scores, groups = scores_in_groups(12, 20, 0.5, np.random.default_rng(6))
    with pytest.raises(PolicyError, match=r"59 groups without a false alarm .*known-groups"):
        choose_threshold("false-alarms<=0.05", scores, groups=groups)
    with pytest.raises(PolicyError, match=r"of more groups.* quantile:0.92, which holds"):
        choose_threshold("false-alarms<=0.05", scores, groups=groups)
    with pytest.raises(PolicyError, match=r"at least 19 normal groups.*such as quantile:0.92\."):
        choose_threshold("quantile:0.95", scores, groups=groups)
    assert choose_threshold("quantile:0.92", scores, groups=groups).promise == "new groups"
    point = choose_operating_point(scores, np.zeros(240, bool), None, groups=groups)
    assert point.promise == "known groups"


def test_fewer_groups_suffice_where_their_images_are_little_alike() -> None:
    scores, groups = scores_in_groups(40, 6, 0.1, np.random.default_rng(7))
    point = choose_threshold("false-alarms<=0.05", scores, groups=groups)
    assert scores.max() < point.threshold
    assert "59 groups would show it without that" in point.how


def test_hidden_anomalies_are_allowed_for_and_the_promise_is_restated() -> None:
    rng = np.random.default_rng(8)
    scores = rng.normal(size=600)
    scores[:6] += 20
    strict = choose_threshold("false-alarms<=0.01", scores)
    robust = choose_threshold("false-alarms<=0.01", scores, contamination=0.01)
    assert robust.threshold < strict.threshold - 2
    assert "if none is, at most 1.99% of normal images are flagged" in robust.how
    assert robust.contamination == 0.01
    assert strict.contamination is None
    assert "contamination" not in strict.model_dump(mode="json")


def both_kinds(n_groups: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    scores, groups = scores_in_groups(n_groups, 6, 0.6, rng)
    labels = groups % 2 == 1
    return scores + 3 * labels, labels, groups


def test_precision_is_a_bound_where_the_images_show_one_and_else_says_so() -> None:
    rng = np.random.default_rng(9)
    labels = np.arange(1200) < 200
    scores = rng.normal(size=1200) + 3 * labels
    bound = choose_threshold("precision>=0.8", scores, labels, prevalence=0.2)
    estimate = choose_threshold("precision>=0.8", scores, labels, prevalence=0.005)
    assert (bound.promise, estimate.promise) == ("images", "none")
    assert "that shows, with 95% confidence, that at least 80%" in bound.how
    assert "That is an estimate and no promise: 95% confidence would take about" in estimate.how
    assert bound.rates["precision_at_prevalence"].value > 0.84


def test_precision_of_new_groups_takes_more_than_that_of_images() -> None:
    scores, labels, groups = both_kinds(200, np.random.default_rng(10))
    alone, new, known = (
        choose_threshold("precision>=0.7", scores, labels, **more)
        for more in ({}, {"groups": groups}, {"groups": groups, "promise": "known-groups"})
    )
    assert new.threshold > alone.threshold == known.threshold
    assert (alone.promise, new.promise, known.promise) == ("images", "new groups", "known groups")


def test_rates_of_groups_have_wider_intervals_that_name_what_they_are_worth() -> None:
    scores, labels, groups = both_kinds(80, np.random.default_rng(11))
    alone, of_groups = (
        choose_threshold("max-f1", scores, labels, groups=given).rates for given in (None, groups)
    )
    for name in ("recall", "false_alarm_rate", "precision", "f1"):
        narrow, wide = alone[name], of_groups[name]
        assert wide.value == narrow.value
        assert wide.high - wide.low > narrow.high - narrow.low
        assert wide.n_effective < narrow.n
    assert of_groups["recall"].n_groups == 40


@pytest.mark.parametrize("policy", ["max-f1", "cost:5:1", "precision>=0.6"])
def test_hidden_anomalies_are_no_false_alarms_to_policies_that_look_at_both_kinds(
    policy: str,
) -> None:
    rng = np.random.default_rng(12)
    truly = np.arange(2000) < 300
    scores = rng.normal(size=2000) + 3 * truly
    labels = np.arange(2000) < 200  # a hundred are hidden
    strict = choose_threshold(policy, scores, labels, prevalence=0.1)
    robust = choose_threshold(policy, scores, labels, prevalence=0.1, contamination=100 / 1800)
    honest = choose_threshold(policy, scores, truly, prevalence=0.1)
    if policy.startswith("precision"):
        assert abs(robust.threshold - honest.threshold) < abs(strict.threshold - honest.threshold)
    assert "5.556% of the images taken for normal are hidden anomalies" in robust.how


def test_recall_says_that_hidden_anomalies_do_not_change_it() -> None:
    scores, labels = np.arange(100.0), np.arange(100) >= 60
    told = choose_threshold("recall>=0.9", scores, labels, contamination=0.02)
    assert told.threshold == choose_threshold("recall>=0.9", scores, labels).threshold
    assert "Hidden anomalies among the normal images do not change it." in told.how


def test_two_groups_of_anomalies_rule_out_nothing_and_give_an_estimate():
    rng = np.random.default_rng(0)
    scores = np.r_[rng.normal(size=12), rng.normal(size=4) + 2]
    labels, groups = np.r_[np.zeros(12), np.ones(4)], np.repeat(np.arange(8), 2)
    assert choose_threshold("precision>=0.9", scores, labels, groups=groups).promise == "none"


@pytest.mark.parametrize("n", [1, 2, 5, 3000])
def test_the_bound_of_groups_is_exact_for_few_and_for_many(n: int) -> None:
    for faults in {0, n // 2, n - 1}:
        shares = (np.arange(n) < faults).astype(float)
        for rate in (0.001, 0.05, 0.7, 1 - 1e-9):
            told = chance_of_mean(shares, rate)
            assert told == pytest.approx(chance_of_at_most(faults, n, rate), abs=1e-9)


@pytest.mark.parametrize("policy", ["false-alarms<=0.05", "quantile:0.9", "recall>=0.9"])
def test_groups_of_unequal_size_count_alike_and_it_is_said(policy):
    rng = np.random.default_rng(0)
    labels = np.arange(800) >= 400
    equal, unequal = np.arange(800) // 4, np.repeat(np.arange(200), np.tile([1, 7], 100))
    scores = rng.normal(size=800) + 4 * labels
    said = "Each group counts alike"
    assert said in choose_threshold(policy, scores, labels, groups=unequal).how
    assert said not in choose_threshold(policy, scores, labels, groups=equal).how
    known = choose_threshold(policy, scores, labels, groups=unequal, promise="known-groups")
    assert said not in known.how
