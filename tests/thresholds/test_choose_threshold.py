"""What a chosen threshold does: the meaning of each policy, ties, float32, too little data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from residua.errors import InputError, LabelError, PolicyError, RangeError, ShapeError
from residua.thresholds import POLICIES, choose_threshold, is_flagged, rates_at
from residua.thresholds.bounds import allowed_faults, chance_of_at_most, images_needed

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=400).astype(np.float32)
ANOMALOUS = (RNG.normal(size=320) + 3).astype(np.float32)
SCORES = np.concatenate([NORMAL, ANOMALOUS])
LABELS = np.arange(720) >= 400
CHOSEN = [kind.usage for kind in POLICIES if kind.keyword != "fixed" and not kind.decides_batches]


@pytest.mark.parametrize("policy", CHOSEN)
def test_a_chosen_threshold_lies_strictly_between_two_neighbouring_scores_and_in_the_middle(
    policy: str,
) -> None:
    threshold = choose_threshold(policy, SCORES, LABELS).threshold
    scores = np.unique(SCORES)
    place = np.searchsorted(scores, np.float32(threshold))
    below, above = float(scores[place - 1]), float(scores[place])
    assert below < threshold < above
    assert threshold == pytest.approx((below + above) / 2, abs=1e-6)
    assert np.float32(threshold) == threshold


@pytest.mark.parametrize("policy", CHOSEN)
def test_the_order_of_the_images_does_not_matter(policy: str) -> None:
    order = np.random.default_rng(1).permutation(len(SCORES))
    assert choose_threshold(policy, SCORES[order], LABELS[order]) == choose_threshold(
        policy, SCORES, LABELS
    )


@pytest.mark.parametrize("policy", CHOSEN)
@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e6, 1e30])
def test_decisions_do_not_depend_on_the_scale_of_the_scores(policy: str, scale: float) -> None:
    scaled = SCORES.astype(np.float64) * scale
    flagged = is_flagged(scaled, choose_threshold(policy, scaled, LABELS).threshold)
    plain = is_flagged(SCORES, choose_threshold(policy, SCORES, LABELS).threshold)
    assert (flagged == plain).all()


@pytest.mark.parametrize("policy", CHOSEN)
def test_nudging_every_score_by_a_rounding_error_flips_no_decision(policy: str) -> None:
    threshold = choose_threshold(policy, SCORES, LABELS).threshold
    for towards in (-np.inf, np.inf):
        nudged = np.nextafter(SCORES, np.float32(towards))
        assert (is_flagged(nudged, threshold) == is_flagged(SCORES, threshold)).all()


score = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float32,
        st.integers(30, 80),
        elements=st.one_of(score, st.sampled_from([0.0, 1.0, 1e-40])),
    )
)
def test_ties_and_denormals_never_break_the_promise_on_the_calibration_set(
    scores: np.ndarray,
) -> None:
    point = choose_threshold("false-alarms<=0.1", scores)
    allowed = allowed_faults(len(scores), 0.1, 0.95)
    assert is_flagged(scores, point.threshold).sum() <= allowed
    found = choose_threshold("recall>=0.9", scores, np.ones(len(scores), bool))
    assert (~is_flagged(scores, found.threshold)).sum() <= allowed


@settings(max_examples=100, deadline=None)
@given(st.floats(-(2.0**100), 2.0**100, width=32), st.integers(1, 3))
def test_neighbouring_floats_are_still_told_apart(lower: float, steps: int) -> None:
    upper = np.float32(lower)
    for _ in range(steps):
        upper = np.nextafter(upper, np.float32(np.inf))
    scores = np.array([lower, upper], np.float32)
    threshold = choose_threshold("max-f1", scores, [0, 1]).threshold
    assert is_flagged(scores, threshold).tolist() == [False, True]
    assert is_flagged(scores.astype(np.float64), threshold).tolist() == [False, True]


def test_scores_that_float32_cannot_tell_apart_are_separated_in_float64() -> None:
    scores = np.array([1.0, 1.0 + 1e-12])
    assert is_flagged(scores, choose_threshold("max-f1", scores, [0, 1]).threshold).tolist() == [
        False,
        True,
    ]


@pytest.mark.parametrize("n", [10, 59, 299, 1000])
@pytest.mark.parametrize("n_faults", [0, 1, 5])
def test_the_binomial_tail_is_scipys(n: int, n_faults: int) -> None:
    assert chance_of_at_most(n_faults, n, 0.01) == pytest.approx(
        stats.binom.cdf(n_faults, n, 0.01), rel=1e-9
    )


@settings(max_examples=50, deadline=None)
@given(st.floats(0.005, 0.4), st.floats(0.5, 0.99), st.integers(0, 5))
def test_images_needed_is_the_smallest_number_that_allows_the_faults(
    rate: float, confidence: float, n_faults: int
) -> None:
    n = images_needed(rate, confidence, n_faults)
    fewer = allowed_faults(n - 1, rate, confidence)
    assert allowed_faults(n, rate, confidence) == n_faults
    assert fewer is None or fewer < n_faults


def test_one_percent_takes_299_normals_and_298_are_refused_with_that_number() -> None:
    scores = np.arange(299) / 299
    assert choose_threshold("false-alarms<=0.01", scores).rates["false_alarm_rate"].value == 0
    with pytest.raises(
        PolicyError,
        match=r"298 normal calibration images can't show .* 299 without a false alarm would",
    ):
        choose_threshold("false-alarms<=0.01", scores[:298])


def test_30_defects_cannot_show_recall_099_and_the_refusal_says_that_299_would() -> None:
    labels = np.arange(100) >= 70
    with pytest.raises(
        PolicyError,
        match=r"30 anomalous .* can't show recall>=0.99 .*299 without a miss would, one-sided",
    ):
        choose_threshold("recall>=0.99", np.arange(100.0), labels)


def test_the_false_alarm_bound_holds_as_often_as_it_promises_and_is_not_timid() -> None:
    rng = np.random.default_rng(3)
    true_rates = [
        stats.expon.sf(choose_threshold("false-alarms<=0.05", rng.exponential(size=200)).threshold)
        for _ in range(600)
    ]
    kept = np.mean(np.array(true_rates) <= 0.05)
    assert 0.93 <= kept <= 0.99
    assert np.mean(true_rates) > 0.02


def test_the_recall_bound_holds_as_often_as_it_promises_and_is_not_timid() -> None:
    rng = np.random.default_rng(4)
    recalls = []
    for _ in range(600):
        scores = np.concatenate([rng.normal(size=100), rng.normal(2, 1, size=100)])
        threshold = choose_threshold("recall>=0.9", scores, np.arange(200) >= 100).threshold
        recalls.append(stats.norm.sf(threshold, 2, 1))
    assert 0.93 <= np.mean(np.array(recalls) >= 0.9) <= 0.99
    assert np.mean(recalls) < 0.97


def test_a_quantile_keeps_its_false_alarms_on_average_where_the_plain_one_doubles_them() -> None:
    rng = np.random.default_rng(5)
    ours, plain = [], []
    for _ in range(1500):
        scores = rng.exponential(size=100)
        ours.append(stats.expon.sf(choose_threshold("quantile:0.99", scores).threshold))
        plain.append(stats.expon.sf(np.quantile(scores, 0.99)))
    assert np.mean(ours) <= 0.011
    assert np.mean(plain) == pytest.approx(0.019, abs=0.002)
    assert np.quantile(plain, 0.95) == pytest.approx(0.047, abs=0.006)


def test_a_quantile_beyond_the_highest_score_is_refused_with_the_number_that_would_do() -> None:
    assert choose_threshold("quantile:0.99", np.arange(99.0)).rates["false_alarm_rate"].value == 0
    with pytest.raises(PolicyError, match=r"at least 99 normal images.* Got 98"):
        choose_threshold("quantile:0.99", np.arange(98.0))


@pytest.mark.parametrize("policy", ["recall>=0.9", "precision>=0.9", "max-f1", "cost:20:1"])
@pytest.mark.parametrize("labels", [None, np.zeros(100, bool)])
def test_policies_that_speak_of_anomalies_refuse_a_set_without_any(policy: str, labels) -> None:
    with pytest.raises(PolicyError, match=r"speaks of anomalies"):
        choose_threshold(policy, np.arange(100.0), labels)


@pytest.mark.parametrize(
    "policy", ["false-alarms<=0.1", "quantile:0.5", "precision>=0.9", "max-f1", "cost:20:1"]
)
def test_policies_that_need_normals_refuse_a_set_without_any(policy: str) -> None:
    with pytest.raises(PolicyError, match=r"needs normal images"):
        choose_threshold(policy, np.arange(100.0), np.ones(100, bool))


def test_max_f1_is_the_best_f1_of_all_thresholds() -> None:
    from sklearn.metrics import precision_recall_curve

    rng = np.random.default_rng(6)
    labels = rng.random(300) < 0.3
    scores = np.round(rng.normal(size=300) + labels, 1)
    precision, recall, _ = precision_recall_curve(labels, scores)
    best = np.nanmax(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    assert choose_threshold("max-f1", scores, labels).rates["f1"].value == pytest.approx(best)


def test_precision_takes_the_lowest_threshold_that_reaches_it_and_refuses_what_none_does() -> None:
    scores, labels = np.array([1.0, 2, 3, 4, 5, 6]), np.array([0, 1, 0, 1, 1, 1])
    point = choose_threshold("precision>=0.8", scores, labels)
    assert (point.threshold, point.rates["precision"].value, point.rates["recall"].value) == (
        1.5,
        0.8,
        1.0,
    )
    with pytest.raises(PolicyError, match=r"Got a precision of 0.5 at best"):
        choose_threshold("precision>=0.9", [1.0, 2, 3, 4], [1, 0, 1, 0])


def test_a_rare_anomaly_raises_the_threshold_that_precision_needs_and_how_says_the_prevalence() -> (
    None
):
    own = choose_threshold("precision>=0.8", SCORES, LABELS)
    rare = choose_threshold("precision>=0.8", SCORES, LABELS, prevalence=0.01)
    assert rare.threshold > own.threshold
    assert "1% of the images are anomalous, as you said" in rare.how
    assert "44.44% of the images are anomalous, as in the calibration set" in own.how
    told = rare.rates["precision_at_prevalence"]
    assert told.low < 0.8 <= told.value <= told.high
    assert "That is an estimate and no promise" in rare.how
    assert (rare.promise, rare.prevalence) == ("none", 0.01)


def test_a_dearer_miss_never_raises_the_threshold() -> None:
    thresholds = [
        choose_threshold(f"cost:{miss}:1", SCORES, LABELS).threshold
        for miss in (0.1, 1, 5, 20, 1000)
    ]
    assert thresholds == sorted(thresholds, reverse=True)


def test_cost_is_the_least_of_all_cuts_by_brute_force() -> None:
    point = choose_threshold("cost:7:2", SCORES, LABELS)

    def cost(threshold: float) -> float:
        flagged = threshold < SCORES
        return 7 * (~flagged & LABELS).sum() + 2 * (flagged & ~LABELS).sum()

    cuts = [-np.inf, *np.unique(SCORES).tolist()]
    assert cost(point.threshold) == min(cost(cut) for cut in cuts)


def test_a_higher_threshold_never_finds_more() -> None:
    recalls = [rates_at(t, SCORES, LABELS)["recall"].value for t in np.linspace(-4, 7, 60)]
    assert recalls == sorted(recalls, reverse=True)


def test_above_all_scores_the_threshold_is_an_extrapolation_and_says_so() -> None:
    point = choose_threshold("false-alarms<=0.05", np.arange(60.0))
    assert point.threshold == 59.5
    assert "above every calibration score" in point.how


def test_below_all_scores_everything_is_flagged_and_the_threshold_of_positive_scores_stays_positive() -> (
    None
):
    point = choose_threshold("recall>=0.9", np.arange(1.0, 31.0), np.ones(30, bool))
    assert 0 < point.threshold < 1
    assert "below every calibration score" in point.how


@pytest.mark.parametrize("value", [0.0, 1e-42, 1.0, 3.4e38, 1e300, -5.0])
def test_equal_scores_are_not_flagged_by_a_bound_on_false_alarms(value: float) -> None:
    scores = np.full(300, value)
    assert not is_flagged(scores, choose_threshold("false-alarms<=0.01", scores).threshold).any()


def test_one_outlier_of_1e30_does_not_move_a_threshold_below_it() -> None:
    scores = np.arange(1000, dtype=np.float32)
    with_outlier = scores.copy()
    with_outlier[-1] = 1e30
    of_both = [choose_threshold("quantile:0.9", each).threshold for each in (scores, with_outlier)]
    assert of_both[0] == of_both[1]


def test_the_threshold_compares_in_the_precision_of_the_scores() -> None:
    assert not is_flagged(np.array([0.004], np.float32), 0.004)[0]
    assert not is_flagged(np.array([1e30], np.float32), 1e39)[0]


def test_rates_without_anomalies_are_false_alarms_alone() -> None:
    assert set(choose_threshold(0.5, [0.1, 0.9]).rates) == {"false_alarm_rate"}


def test_precision_is_undefined_where_nothing_is_flagged() -> None:
    assert rates_at(9, np.array([1.0, 2.0]), np.array([False, True]))["precision"].value is None


@pytest.mark.parametrize(
    ("scores", "labels", "kind"),
    [
        ([0.1, np.nan], None, RangeError),
        ([0.1, np.inf], None, RangeError),
        ([0.1, 0.2], [0, 1, 1], ShapeError),
        ([0.1, 0.2], [0, 2], LabelError),
        ([], None, ShapeError),
        (["a", "b"], None, RangeError),
    ],
)
def test_bad_scores_and_labels_are_refused(scores, labels, kind) -> None:
    with pytest.raises(kind):
        choose_threshold("quantile:0.5", scores, labels)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        choose_threshold("quantile:0.5", [np.nan, 1], [0, 7], confidence=95, prevalence=2)
    assert len(str(caught.value).splitlines()) == 4
    assert "Write 0.95" in str(caught.value)
