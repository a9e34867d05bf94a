"""P-values from calibration scores, and decisions about a batch that rest on them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import false_discovery_control, kstest

from residua.errors import InputError, PolicyError, ShapeError
from residua.thresholds import (
    PValues,
    batch_policy,
    choose_threshold,
    conformal_p_values,
    parse_policy,
)

LEVELS = (0.01, 0.05, 0.1, 0.5)


def simulated(draw, *, n_repeats=2500, seed=None):
    """The p-value of one fresh normal image for each of many calibration sets."""
    return np.array([draw(np.random.default_rng(one), seed) for one in range(n_repeats)])


def of_images(rng, seed, *, ties=False):
    scores = rng.gamma(2, 1, 61)
    scores = np.round(scores * 2) / 2 if ties else scores
    return conformal_p_values(scores[60:], scores[:60], seed=seed)[0]


def of_groups(rng, seed):
    """Views of 25 parts of very different sizes that are much alike, and one of a new part."""
    sizes = rng.choice([1, 2, 20], 26)
    parts = np.repeat(np.arange(26), sizes)
    scores = rng.normal(size=26)[parts] * 3 + rng.normal(size=len(parts))
    old = parts < 25
    return conformal_p_values(scores[~old][:1], scores[old], groups=parts[old], seed=seed)[0]


@pytest.mark.parametrize(
    "draw", [of_images, lambda rng, seed: of_images(rng, seed, ties=True), of_groups]
)
def test_a_fresh_normal_image_has_a_small_p_value_no_more_often_than_it_says(draw):
    found = simulated(draw)
    for level in LEVELS:
        assert (found <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / len(found))


def test_p_values_of_fresh_normals_are_uniform_with_ties_broken_at_random():
    rng = np.random.default_rng(5)
    found = [
        conformal_p_values(scores[60:], scores[:60], seed=int(rng.integers(1 << 30)))[0]
        for scores in np.round(rng.gamma(2, 1, (2000, 61)) * 2) / 2
    ]
    assert kstest(found, "uniform").pvalue > 0.001


def test_images_of_one_group_counted_as_images_would_break_the_promise():
    def as_images(rng, seed):
        parts = np.repeat(np.arange(11), 20)
        scores = rng.normal(size=11)[parts] * 3 + rng.normal(size=len(parts))
        return conformal_p_values(scores[-1:], scores[:-20])[0]

    assert (simulated(as_images, n_repeats=1000) <= 0.05).mean() > 0.08


def test_a_promise_that_there_is_not_is_refused():
    with pytest.raises(InputError, match="promise must be one of new-groups, known-groups"):
        conformal_p_values([1.0], [1.0, 2.0], groups=["a", "a"], promise="new_groups")


def test_a_missing_score_has_no_p_value_and_one_in_calibration_counts_as_the_highest():
    assert np.isnan(conformal_p_values([np.nan], [1.0, 2.0])).all()
    assert PValues.of(np.array([1.0, np.nan]))([5.0]).tolist() == [2 / 3]
    with pytest.raises(ShapeError, match="calibration_scores must hold scores"):
        conformal_p_values([1.0], [])


@given(st.lists(st.integers(0, 30), min_size=19, max_size=60), st.integers(0, 40))
def test_a_flagged_image_has_a_p_value_within_what_the_quantile_allows(scores, score):
    calibration, groups = np.array(scores, np.float32), np.arange(len(scores)) // 2
    for given_groups in (None, groups):
        reference = PValues.of(calibration, given_groups)
        if reference.n_units < 9:
            continue
        point = choose_threshold("quantile:0.9", calibration, groups=given_groups)
        p_value = reference(np.float32(score))
        assert score <= point.threshold or p_value <= 0.1 + 1e-12
        assert (score > reference.threshold_of(0.1)) == (p_value <= 0.1 + 1e-12)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=40), st.sampled_from([0.05, 0.2, 0.5]))
def test_a_batch_is_decided_as_by_benjamini_and_hochberg(places, rate):
    reference = PValues.of(np.arange(99, dtype=np.float32))
    scores = 100 - np.array(places, np.float32)
    decision = parse_policy(f"fdr<={rate}").decide(reference, reference(scores))
    expected = false_discovery_control(np.array(places) / 100) <= rate + 1e-12
    assert (scores > decision.threshold).tolist() == expected.tolist()
    assert decision.n_flagged == expected.sum()


def test_of_the_flagged_at_most_the_promised_share_are_good_parts_on_average():
    rng, shares = np.random.default_rng(0), []
    policy = parse_policy("fdr<=0.1")
    for _ in range(1500):
        reference = PValues.of(rng.normal(size=200))
        scores = np.concatenate([rng.normal(size=80), rng.normal(3, 1, 20)])
        flagged = scores > policy.decide(reference, reference(scores)).threshold
        shares.append(flagged[:80].sum() / max(flagged.sum(), 1))
    assert 0.05 < np.mean(shares) < 0.1 + 2 * np.std(shares) / np.sqrt(len(shares))


def test_images_still_to_come_count_as_the_least_anomalous():
    reference, policy = PValues.of(np.arange(99)), batch_policy("fdr<=0.1", "watch")
    scores = np.array([200.0, 201, 3, np.nan])
    assert policy.decide(reference, reference(scores)).n_flagged == 2
    assert policy.decide(reference, reference(scores), 21).n_flagged == 0
    assert policy.decide(reference, reference(scores), 20).n_flagged == 2


def test_a_policy_for_batches_is_refused_where_one_threshold_is_needed_and_says_where_to_use_it():
    with pytest.raises(PolicyError, match=r"decides about a batch .* residua score RUN SOURCE"):
        choose_threshold("fdr<=0.05", np.arange(300.0))
    with pytest.raises(PolicyError, match=r"at least 19 normal calibration images\. Got 10\."):
        batch_policy("fdr<=0.05", "score").check(PValues.of(np.arange(10.0)), "score")
    with pytest.raises(PolicyError, match="which gives one threshold"):
        batch_policy("quantile:0.9", "score")


def test_the_words_say_what_is_promised_and_for_whom():
    grouped = PValues.of(np.arange(100.0), np.arange(100) // 2)
    words = batch_policy("fdr<=0.05", "score").decide(grouped, np.full(1000, 0.5)).how
    assert "On average over batches like this one, at most 5% of the flagged images" in words
    assert "if good parts look like the normal calibration images" in words
    assert "is not proven" in words and "at least 393 images" in words
