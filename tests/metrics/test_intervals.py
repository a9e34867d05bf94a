"""Intervals: meaning, small samples, differential against independent formulas, and coverage where
the truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats
from sklearn import metrics as sk

from residua.errors import InputError, RangeError, ShapeError
from residua.metrics.intervals import (
    average_precision_interval,
    bootstrap_interval,
    delong_variance,
    mean_interval,
    paired_difference_interval,
    rate_interval,
    roc_auc_difference,
    roc_auc_interval,
)
from residua.metrics.precision_intervals import _ladder, _resample, influence_variance
from residua.metrics.ranking import average_precision, roc_auc


def two_classes(seed, n_positive=40, n_negative=60, shift=1.0, decimals=None):
    rng = np.random.default_rng(seed)
    labels = np.arange(n_positive + n_negative) < n_positive
    scores = rng.normal(size=len(labels)) + shift * labels
    return labels, scores if decimals is None else scores.round(decimals)


def delong_by_definition(labels, scores):
    """The structural components of the 1988 paper, pair by pair."""
    kernel = np.heaviside(scores[labels][:, None] - scores[~labels][None, :], 0.5)
    return (
        kernel.mean(axis=1).var(ddof=1) / labels.sum()
        + kernel.mean(axis=0).var(ddof=1) / (~labels).sum()
    )


# ROC AUC


@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize(
    ("n_positive", "n_negative"), [(40, 60), (60, 40), (2, 300), (300, 2), (9000, 9500)]
)
def test_delong_variance_is_that_of_the_paper(decimals, n_positive, n_negative):
    labels, scores = two_classes(1, n_positive, n_negative, decimals=decimals)
    if n_positive > 1000:
        positives, negatives = scores[labels], scores[~labels]
        of_positives = stats.rankdata(scores)[labels] - stats.rankdata(positives)
        of_negatives = stats.rankdata(scores)[~labels] - stats.rankdata(negatives)
        expected = (of_positives / n_negative).var(ddof=1) / n_positive + (
            of_negatives / n_positive
        ).var(ddof=1) / n_negative
    else:
        expected = delong_by_definition(labels, scores)
    assert delong_variance(labels, scores) == pytest.approx(expected, rel=1e-9)


def test_turning_the_scores_round_turns_the_interval_round():
    labels, scores = two_classes(2)
    there, back = roc_auc_interval(labels, scores), roc_auc_interval(labels, -scores)
    assert there.value == roc_auc(labels, scores)
    assert (1 - back.high, 1 - back.low) == pytest.approx((there.low, there.high), abs=1e-12)


def test_the_interval_narrows_with_more_images_and_widens_with_more_confidence():
    few, many = (roc_auc_interval(*two_classes(3, n, n)) for n in (50, 5000))
    assert many.high - many.low < (few.high - few.low) / 5
    sure = roc_auc_interval(*two_classes(3, 50, 50), confidence=0.99)
    assert sure.low < few.low < few.value < few.high < sure.high
    assert (sure.confidence, sure.n) == (0.99, 100)


def test_perfect_separation_has_an_honest_width():
    for n, floor in ((5, 0.5), (20, 0.8), (200, 0.97)):
        estimate = roc_auc_interval([0] * n + [1] * n, range(2 * n))
        assert (estimate.value, estimate.high) == (1.0, 1.0)
        assert floor < estimate.low < 1
        turned = roc_auc_interval([1] * n + [0] * n, range(2 * n))
        assert turned.low == 0
        assert turned.high == pytest.approx(1 - estimate.low)


@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 10_000), st.integers(0, 2))
def test_every_interval_holds_its_value_and_stays_within_its_range(
    n_positive, n_negative, seed, decimals
):
    labels, scores = two_classes(seed, n_positive, n_negative, decimals=decimals)
    for estimate in (
        roc_auc_interval(labels, scores),
        average_precision_interval(labels, scores, n_resamples=100),
    ):
        if estimate.low is not None:
            assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
            assert estimate.low < estimate.high


def test_too_few_images_of_a_class_have_a_value_but_no_bounds():
    for interval in (roc_auc_interval, average_precision_interval):
        estimate = interval([1, 0, 0, 0], [3.0, 1.0, 2.0, 4.0])
        assert estimate.value is not None
        assert estimate.low is estimate.high is None
        assert interval([0, 0], [1.0, 2.0]).value is None
        assert interval([], []).value is None


def test_roc_auc_interval_covers_the_truth_as_often_as_it_says():
    truth, covered = stats.norm.cdf(1.5 / math.sqrt(2)), 0
    for seed in range(600):
        estimate = roc_auc_interval(*two_classes(seed, 40, 80, shift=1.5))
        covered += estimate.low <= truth <= estimate.high
    assert 0.92 < covered / 600 < 0.98


def test_paired_delong_agrees_with_the_variance_of_one_model():
    labels, scores = two_classes(4)
    noise = np.random.default_rng(0).normal(size=100)
    alone = roc_auc_difference(labels, scores, np.zeros(100))
    assert alone.value == pytest.approx(roc_auc(labels, scores) - 0.5)
    assert alone.high - alone.low == pytest.approx(
        2 * 1.959964 * math.sqrt(delong_by_definition(labels, scores)), rel=1e-5
    )
    there, back = (
        roc_auc_difference(labels, scores, noise),
        roc_auc_difference(labels, noise, scores),
    )
    assert (there.value, there.low, there.high) == pytest.approx(
        (-back.value, -back.high, -back.low)
    )


def test_models_that_rank_alike_differ_by_zero_without_bounds():
    labels, scores = two_classes(5)
    estimate = roc_auc_difference(labels, scores, np.exp(scores))
    assert (estimate.value, estimate.low, estimate.high) == (0.0, None, None)
    assert roc_auc_difference([1, 1], [0.1, 0.2], [0.2, 0.1]).value is None
    assert roc_auc_difference([1, 0], [0.1, 0.2], [0.2, 0.1]).low is None


# rates


@given(st.integers(1, 60), st.data())
def test_rates_are_those_of_scipy(n, data):
    n_successes = data.draw(st.integers(0, n))
    for method, theirs in (("wilson", "wilson"), ("clopper-pearson", "exact")):
        for side, alternative in (("two", "two-sided"), ("lower", "greater"), ("upper", "less")):
            ours = rate_interval(n_successes, n, method=method, side=side)
            expected = stats.binomtest(n_successes, n, alternative=alternative).proportion_ci(
                0.95, method=theirs
            )
            assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_no_trial_is_no_rate():
    estimate = rate_interval(0, 0)
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (None, None, None, 0)


def test_299_normals_without_a_false_alarm_show_one_percent_and_298_do_not():
    assert rate_interval(0, 299, method="clopper-pearson", side="upper").high <= 0.01
    assert rate_interval(0, 298, method="clopper-pearson", side="upper").high > 0.01


def test_clopper_pearson_never_covers_less_than_it_says():
    for n in (5, 30, 100):
        bounds = [rate_interval(k, n, method="clopper-pearson") for k in range(n + 1)]
        for rate in np.linspace(0.005, 0.995, 100):
            chance = stats.binom.pmf(np.arange(n + 1), n, rate)
            assert chance[[b.low <= rate <= b.high for b in bounds]].sum() >= 0.95 - 1e-12


def test_impossible_counts_and_unknown_options_are_refused_together():
    with pytest.raises(RangeError, match=r"(?s)confidence.*7 of 6.*method.*side"):
        rate_interval(7, 6, confidence=1.0, method="wald", side="left")
    with pytest.raises(RangeError, match="-1 of 6"):
        rate_interval(-1, 6)


# means


def test_the_interval_of_skewed_errors_reaches_further_up():
    values = np.random.default_rng(0).lognormal(0, 1, 40)
    estimate = mean_interval(values)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.high - estimate.value > 1.2 * (estimate.value - estimate.low)


def test_the_interval_of_symmetrical_values_is_nearly_students():
    values = np.random.default_rng(1).normal(size=400)
    expected = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert (mean_interval(values).low, mean_interval(values).high) == pytest.approx(
        expected, abs=0.01
    )


@pytest.mark.parametrize("n", [5, 50, 20_000])
def test_scaling_and_shifting_the_values_scales_and_shifts_the_interval(n):
    values = np.random.default_rng(2).exponential(size=n)
    plain, moved = mean_interval(values), mean_interval(3 * values + 10)
    assert (moved.low, moved.value, moved.high) == pytest.approx(
        [3 * x + 10 for x in (plain.low, plain.value, plain.high)]
    )


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(3).exponential(size=50)
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
    assert mean_interval(values, seed=1) != mean_interval(values, seed=2)


def test_resamples_of_one_value_are_told_by_more_than_their_rounding():
    values = np.ones(144)
    values[70:72] = 0  # some resamples are ones alone, whose spread is 1e-17 and not 0
    estimate = mean_interval(values)
    assert 0.95 < estimate.low < estimate.value < estimate.high < 1.02


def test_resampled_and_expanded_intervals_meet_where_one_takes_over():
    values = np.random.default_rng(4).lognormal(0, 1, 5001)
    resampled, expanded = mean_interval(values[:5000]), mean_interval(values)
    width = expanded.high - expanded.low
    assert (resampled.low, resampled.high) == pytest.approx(
        (expanded.low, expanded.high), abs=0.08 * width
    )


def test_means_that_nothing_shows_have_no_bounds():
    assert mean_interval([]).value is None
    assert mean_interval([1.0, math.inf]).value is None
    for values in ([0.25], [0.25, 0.25, 0.25]):
        estimate = mean_interval(values)
        assert (estimate.value, estimate.low, estimate.high, estimate.n) == (
            0.25,
            None,
            None,
            len(values),
        )
    with pytest.raises(RangeError, match="1 NaN"):
        mean_interval([1.0, math.nan])
    with pytest.raises(ShapeError, match="shape"):
        mean_interval(np.zeros((2, 2)))


def test_mean_interval_covers_the_mean_of_exponential_errors():
    rng = np.random.default_rng(5)
    estimates = [mean_interval(rng.exponential(size=30), seed=k) for k in range(400)]
    assert 0.91 < np.mean([e.low <= 1 <= e.high for e in estimates]) < 0.985


def test_paired_intervals_are_narrower_than_separate_ones():
    rng = np.random.default_rng(6)
    hard = rng.lognormal(size=100)
    first, second = hard + rng.normal(0, 0.1, 100), hard + 0.1 + rng.normal(0, 0.1, 100)
    paired = paired_difference_interval(first, second)
    assert paired.high < 0
    assert paired.high - paired.low < 0.3 * (mean_interval(first).high - mean_interval(first).low)
    assert paired_difference_interval([1.0, math.inf], [1.0, math.inf]).value is None
    with pytest.raises(ShapeError, match="3 a, 2 b"):
        paired_difference_interval([1, 2, 3], [1, 2])


# bootstrap


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(7).exponential(size=80)
    ours = bootstrap_interval(np.std, values, n_resamples=4000)
    theirs = stats.bootstrap(
        (values,), np.std, n_resamples=4000, rng=np.random.default_rng(0)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.05)


def test_vectorised_statistics_give_the_same_interval():
    values, weights = np.random.default_rng(8).random((2, 60))
    one = bootstrap_interval(lambda x, w: (x * w).sum() / w.sum(), values, weights)
    all_at_once = bootstrap_interval(
        lambda x, w: (x * w).sum(1) / w.sum(1), values, weights, vectorised=True
    )
    assert (one.low, one.value, one.high) == pytest.approx(
        (all_at_once.low, all_at_once.value, all_at_once.high)
    )


def test_stratified_resamples_keep_the_class_sizes():
    labels, scores = two_classes(9, 3, 20)
    sizes = []

    def area(truth, values):
        sizes.append(int(truth.sum()))
        return sk.roc_auc_score(truth, values)

    bootstrap_interval(area, labels, scores, stratify=labels, n_resamples=100)
    assert set(sizes[:101]) == {3}


def test_a_statistic_that_shows_no_spread_has_no_bounds():
    assert bootstrap_interval(np.mean, np.ones(10)).low is None
    assert bootstrap_interval(np.mean, np.ones(1)).low is None
    assert bootstrap_interval(np.mean, np.zeros(0)).value is None
    assert bootstrap_interval(lambda x: math.nan, np.arange(5.0)).value is None


def test_bootstrap_refuses_what_does_not_fit_together():
    with pytest.raises(InputError, match=r"(?s)confidence.*same length.*n_resamples"):
        bootstrap_interval(np.mean, np.zeros(3), np.zeros(4), confidence=0, n_resamples=5)
    with pytest.raises(InputError, match="at least one array"):
        bootstrap_interval(np.mean)


# average precision


@pytest.mark.parametrize("decimals", [None, 1])
def test_resampled_counts_are_resampled_images(decimals):
    labels, scores = two_classes(10, 25, 50, decimals=decimals)
    ladder = _ladder(labels, scores)
    ours = _resample(ladder, 4000, np.random.default_rng(0))
    rng, theirs = np.random.default_rng(1), []
    for _ in range(1500):
        drawn = np.concatenate((rng.integers(25, size=25), 25 + rng.integers(50, size=50)))
        theirs.append(average_precision(labels, scores[drawn]))
    assert ours.mean() == pytest.approx(np.mean(theirs), abs=0.01)
    assert ours.std() == pytest.approx(np.std(theirs), rel=0.1)


def test_the_influence_of_each_image_is_what_moving_its_weight_does():
    labels, scores = two_classes(11, 12, 15, decimals=1)

    def weighted(weights):
        true = np.array([(weights * labels)[scores >= s].sum() for s in scores])
        false = np.array([(weights * ~labels)[scores >= s].sum() for s in scores])
        precision = true / (true + false)
        return (weights * labels * precision).sum() / weights[labels].sum()

    influence, step = np.zeros(27), 1e-6
    for i in range(27):
        own = labels == labels[i]
        weights = np.where(own, 1 - step, 1.0)
        weights[i] += step * own.sum()
        influence[i] = (weighted(weights) - weighted(np.ones(27))) / step
    expected = sum((influence[own] ** 2).mean() / (own.sum() - 1) for own in (labels, ~labels))
    assert influence_variance(_ladder(labels, scores)) == pytest.approx(expected, rel=1e-4)


def test_many_anomalous_images_take_the_delta_method_and_agree_with_few_resamples():
    labels, scores = two_classes(12, 30_000, 30_000)
    delta, resampled = (
        average_precision_interval(labels, scores, n_resamples=n) for n in (1000, 100)
    )
    assert delta.value == pytest.approx(sk.average_precision_score(labels, scores))
    assert delta.high - delta.low == pytest.approx(resampled.high - resampled.low, rel=0.15)


def test_a_perfect_separation_bounds_average_precision_as_it_bounds_the_area():
    few = average_precision_interval([0, 0, 0, 1, 1, 1], range(6))
    many = average_precision_interval([0] * 300 + [1] * 300, range(600))
    assert few.value == few.high == many.value == many.high == 1.0
    assert 0.4 < few.low < 0.6
    assert 0.98 < many.low < 1


def test_average_precision_interval_covers_where_percentiles_do_not():
    truth = 0.689
    estimates = [
        average_precision_interval(*two_classes(s, 30, 30, 0.7416), n_resamples=200, seed=s)
        for s in range(400)
    ]
    assert 0.90 < np.mean([e.low <= truth <= e.high for e in estimates]) < 0.985


@pytest.mark.parametrize("interval", [roc_auc_interval, average_precision_interval])
def test_confidence_outside_zero_and_one_is_refused(interval):
    with pytest.raises(RangeError, match="confidence"):
        interval([0, 1], [0.1, 0.2], confidence=95)
