"""ROC AUC, partial AUC, average precision and their curves: meaning, contract, differential, traps
of other people's metrics."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn import metrics as sk

from residua.errors import InputError, LabelError, RangeError, ShapeError
from residua.metrics.ranking import (
    average_precision,
    partial_roc_auc,
    precision_recall_curve,
    roc_auc,
    roc_curve,
)

VALUES = [-1e30, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1e-3, 0.5, 1.0, 3.0, 1e30]


@st.composite
def labelled(draw, both_classes=True):
    """Labels and scores with heavy ties, denormals, both zeros and outliers, in float32 or
    float64."""
    n = draw(st.integers(2, 50))
    labels = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    if both_classes:
        labels[:2] = True, False
    few = st.sampled_from(VALUES)
    score = draw(st.sampled_from([few, st.floats(-1e6, 1e6, width=32)]))
    scores = np.array(draw(st.lists(score, min_size=n, max_size=n)))
    return labels, scores.astype(draw(st.sampled_from([np.float32, np.float64])))


def brute_force_roc_auc(labels, scores):
    wins = [(p > n) + (p == n) / 2 for p in scores[labels] for n in scores[~labels]]
    return sum(wins) / len(wins)


@given(labelled())
def test_roc_auc_equals_the_share_of_pairs_won(case):
    labels, scores = case
    assert roc_auc(labels, scores) == pytest.approx(brute_force_roc_auc(labels, scores), abs=1e-14)


@given(labelled())
def test_areas_equal_those_of_scikit_learn(case):
    labels, scores = case
    assert roc_auc(labels, scores) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-13)
    assert average_precision(labels, scores) == pytest.approx(
        sk.average_precision_score(labels, scores), abs=1e-13
    )


@given(labelled(), st.floats(0.01, 1))
def test_partial_area_equals_that_of_scikit_learn(case, max_fpr):
    labels, scores = case
    assert roc_auc(labels, scores, max_fpr=max_fpr) == pytest.approx(
        sk.roc_auc_score(labels, scores, max_fpr=max_fpr), abs=1e-12
    )


@given(labelled())
def test_thinned_curves_keep_their_area_exactly(case):
    labels, scores = case
    fpr, tpr, thresholds = roc_curve(labels, scores)
    assert np.trapezoid(tpr, fpr) == pytest.approx(roc_auc(labels, scores), abs=1e-13)
    assert len(fpr) == len(thresholds)
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    assert -np.sum(np.diff(recall) * precision[:-1]) == pytest.approx(
        average_precision(labels, scores), abs=1e-13
    )
    assert len(precision) == len(thresholds) + 1


@given(labelled())
def test_every_point_of_the_curves_is_what_its_threshold_gives(case):
    labels, scores = case
    fpr, tpr, thresholds = roc_curve(labels, scores)
    for i, threshold in enumerate(thresholds):
        assert fpr[i] == np.mean(scores[~labels] >= threshold)
        assert tpr[i] == np.mean(scores[labels] >= threshold)
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    for i, threshold in enumerate(thresholds):
        assert precision[i] == np.mean(labels[scores >= threshold])
        assert recall[i] == np.mean(scores[labels] >= threshold)


@given(labelled())
def test_roc_vertices_are_those_of_scikit_learn_less_the_collinear(case):
    labels, scores = case
    theirs = set(zip(*sk.roc_curve(labels, scores, drop_intermediate=False)[:2], strict=True))
    ours = list(zip(*roc_curve(labels, scores)[:2], strict=True))
    assert set(ours) <= theirs
    step = np.diff(np.array(ours), axis=0)
    turns = step[:-1, 0] * step[1:, 1] - step[:-1, 1] * step[1:, 0]
    assert (np.abs(turns) > 1e-12).all()


@given(labelled(), st.randoms(use_true_random=False))
def test_order_of_images_changes_nothing(case, random):
    labels, scores = case
    order = np.array(random.sample(range(len(labels)), len(labels)))
    assert roc_auc(labels[order], scores[order]) == roc_auc(labels, scores)
    assert average_precision(labels[order], scores[order]) == average_precision(labels, scores)


@given(labelled())
def test_turning_the_scores_round_turns_the_area_round(case):
    labels, scores = case
    assert roc_auc(labels, -scores) == pytest.approx(1 - roc_auc(labels, scores), abs=1e-15)
    assert roc_auc(~labels, scores) == pytest.approx(1 - roc_auc(labels, scores), abs=1e-15)


def test_raising_one_anomalous_score_never_lowers_an_area():
    rng = np.random.default_rng(0)
    labels, scores = rng.random(200) < 0.3, rng.normal(size=200)
    better = np.where(labels, scores + 1, scores)
    assert roc_auc(labels, better) > roc_auc(labels, scores)
    assert average_precision(labels, better) > average_precision(labels, scores)


def test_constant_scores_are_chance():
    labels = np.array([True, False, False, False])
    assert roc_auc(labels, np.zeros(4)) == 0.5
    assert average_precision(labels, np.zeros(4)) == 0.25
    assert roc_auc(labels, np.zeros(4), max_fpr=0.1) == pytest.approx(0.5)


def test_negative_zero_ties_with_zero():
    assert roc_auc([False, True], [0.0, -0.0]) == 0.5
    assert roc_auc([False, True], np.array([-0.0, 0.0], np.float32)) == 0.5


@pytest.mark.parametrize("share", [0.0003, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("distinct", [3, 500, None])
def test_many_blocks_give_the_same_as_scikit_learn(share, distinct):
    rng = np.random.default_rng(1)
    labels = rng.random(60_000) < share
    scores = (
        rng.normal(size=60_000).astype(np.float32)
        if distinct is None
        else rng.integers(0, distinct, 60_000)
    )
    assert roc_auc(labels, scores) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-13)
    assert average_precision(labels, scores) == pytest.approx(
        sk.average_precision_score(labels, scores), abs=1e-12
    )


def test_a_perfect_order_is_exactly_one_however_small_or_large_the_scores():
    for scale in (1e-300, 1e-3, 1.0, 1e300):
        assert roc_auc([0, 0, 1, 1], np.array([1.0, 2.0, 3.0, 4.0]) * scale) == 1.0


def test_errors_outside_zero_and_one_are_not_squashed_as_torchmetrics_does():
    from torch import tensor
    from torchmetrics.functional.classification import binary_auroc

    labels, scores = [0, 0, 1, 1], [30.0, 30.0, 60.0, 60.0]
    assert float(binary_auroc(tensor(scores), tensor(labels))) == 0.5
    assert roc_auc(labels, scores) == 1.0


def test_errors_near_a_thousandth_are_not_binned_as_keras_does(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(0)
    labels = np.arange(2000) % 2 == 1
    scores = np.abs(rng.normal(0.001, 0.0003, 2000)) + labels * 0.0004
    exact = sk.roc_auc_score(labels, scores)
    metric = keras.metrics.AUC()
    metric.update_state(labels, scores)
    assert abs(float(metric.result()) - exact) > 0.1
    assert roc_auc(labels, scores) == pytest.approx(exact, abs=1e-14)


def test_one_outlier_changes_nothing_but_its_own_pairs():
    rng = np.random.default_rng(0)
    labels, scores = np.arange(1000) % 2 == 1, rng.normal(size=1000)
    outlier = scores.copy()
    outlier[np.argmax(scores)] = 1e30
    assert roc_auc(labels, outlier) == roc_auc(labels, scores)


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], []])
def test_one_class_is_undefined_not_zero(labels):
    scores = np.arange(len(labels), dtype=float)
    assert math.isnan(roc_auc(labels, scores))
    assert math.isnan(roc_auc(labels, scores, max_fpr=0.2))
    assert math.isnan(average_precision(labels, scores))


def test_curves_of_one_class_have_no_rate_for_the_other():
    fpr, tpr, _ = roc_curve([1, 1], [0.1, 0.2])
    assert np.isnan(fpr).all()
    assert tpr[-1] == 1
    _, recall, _ = precision_recall_curve([0, 0], [0.1, 0.2])
    assert np.isnan(recall[:-1]).all()


def test_curves_with_a_limit_keep_their_ends_and_nearly_their_area():
    rng = np.random.default_rng(0)
    labels = rng.random(20_000) < 0.2
    scores = rng.normal(size=20_000) + labels
    fpr, tpr, thresholds = roc_curve(labels, scores, max_points=100)
    assert len(fpr) <= 100
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(tpr, fpr) == pytest.approx(roc_auc(labels, scores), abs=2e-4)
    assert thresholds[0] == np.inf
    precision, recall, thresholds = precision_recall_curve(labels, scores, max_points=100)
    assert len(precision) <= 100
    assert len(thresholds) == len(precision) - 1
    assert (recall[0], recall[-1], precision[-1]) == (1, 0, 1)
    assert all(
        recall[i] == np.mean(scores[labels] >= thresholds[i]) for i in range(len(thresholds))
    )


def test_scores_keep_their_precision():
    _, _, thresholds = roc_curve([0, 1], np.array([0.1, 0.2], np.float32))
    assert thresholds.dtype == np.float32
    above = np.nextafter(1.0, 2.0)
    assert roc_auc([0, 1], [1.0, above]) == 1.0


def test_integer_boolean_and_column_labels_mean_the_same():
    scores = [0.1, 0.4, 0.35, 0.8]
    for labels in (
        [0, 0, 1, 1],
        [False, False, True, True],
        np.array([[0], [0], [1], [1]]),
        np.array([0.0, 0, 1, 1]),
    ):
        assert roc_auc(labels, scores) == 0.75


@pytest.mark.parametrize(
    "function", [roc_auc, average_precision, roc_curve, precision_recall_curve]
)
def test_bad_input_is_refused_with_every_problem_at_once(function):
    with pytest.raises(RangeError, match="1 NaN and 1 infinite"):
        function([0, 1, 1], [np.nan, np.inf, 1.0])
    with pytest.raises(ShapeError, match="2 labels, 3 scores"):
        function([0, 1], [1.0, 2.0, 3.0])
    with pytest.raises(LabelError, match=r"0 \(normal\) or 1 \(anomalous\)"):
        function([0, 2], [1.0, 2.0])
    with pytest.raises(InputError, match=r"(?s)NaN.*the values|the values.*NaN"):
        function([0, 2], [1.0, np.nan])


def test_options_outside_their_range_are_refused():
    for max_fpr in (0, -0.1, 1.5, math.nan):
        with pytest.raises(RangeError, match="max_fpr"):
            roc_auc([0, 1], [0.1, 0.2], max_fpr=max_fpr)
    with pytest.raises(RangeError, match="max_points"):
        roc_curve([0, 1], [0.1, 0.2], max_points=1)


def test_partial_area_at_one_is_the_whole_area():
    assert partial_roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], max_fpr=1) == 0.75
    assert roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], max_fpr=1) == 0.75


def test_the_input_is_left_as_it_was():
    labels, scores = np.array([1, 0, 1]), np.array([0.3, 0.2, 0.1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        roc_auc(labels, scores)
        average_precision(labels, scores)
    assert scores.tolist() == [0.3, 0.2, 0.1]
