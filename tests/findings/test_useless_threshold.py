"""What the threshold does with the images, said first."""

from __future__ import annotations

import numpy as np
import pytest

from residua import evaluate_detection
from residua.evaluation.report.opening import decision, opening
from residua.findings import find_useless_threshold
from residua.metrics import false_alarms_at_recall, rate_interval
from residua.records import Estimate


def _record(threshold, *, n_anomalous=52, shift=2.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(84 + n_anomalous) >= 84
    return evaluate_detection(
        labels, rng.normal(size=len(labels)) + shift * labels, operating_point=threshold
    )


def test_a_threshold_that_catches_nothing_is_an_error_and_stands_first():
    record = _record(9.0)
    found = {one.code: one for one in record.findings}["useless-threshold"]
    assert found.severity == "error"
    assert ": 0 of 52 anomalous images and 0 of 84 normal ones, 0.0%." in found.meaning
    assert "by `--policy 'false-alarms<=0.1'`" in found.what_to_do  # arrays have no RUN
    assert "The scores rank well" in found.what_to_do
    first = opening(record)
    assert first.startswith("At its threshold, the model misses 52 of 52 anomalous images and")
    assert "To catch 90%, it would flag about" in first
    assert first.index("misses 52") < first.index("ROC AUC")


def test_a_threshold_that_works_is_not_accused_and_nothing_is_invented_without_labels():
    record = _record(1.0)
    assert "useless-threshold" not in {one.code for one in record.findings}
    unlabelled = evaluate_detection(None, np.arange(9.0), operating_point=4.0)
    assert decision(unlabelled) == "At its threshold, the model flags 4 of 9 images."
    assert "useless-threshold" not in {one.code for one in unlabelled.findings}


def test_another_threshold_is_advised_only_where_scores_rank_well():
    told = find_useless_threshold(
        rate_interval(3, 50),
        rate_interval(6, 100),
        roc_auc=Estimate(value=0.6, low=0.5, high=0.7, n=150),
    )
    assert "train another recipe, or take a baseline if one is better" in told.what_to_do
    ranked = find_useless_threshold(
        rate_interval(0, 81),
        rate_interval(0, 17),
        roc_auc=Estimate(value=0.85, low=0.71, high=0.92, n=98),
    )
    assert "rank better than chance" in ranked.what_to_do
    labels = np.arange(100) < 50
    arrays = evaluate_detection(labels, np.tile([0.0, 1.0], 50), operating_point=0.5)
    found = {one.code: one for one in arrays.findings}["useless-threshold"]
    assert "baseline" not in found.what_to_do


def test_false_alarms_at_recall_are_counted_as_by_hand():
    labels = np.repeat([0, 1], [6, 10])
    scores = np.array([1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13.0])
    # 90% of ten anomalies are nine: one may be missed, so the threshold lies just below 5.
    made = false_alarms_at_recall(labels, scores)
    assert (made.value, made.n, made.high) == (2 / 6, 6, 1.0)
    assert false_alarms_at_recall(labels, scores, 0.5).value == 0
    assert false_alarms_at_recall(np.zeros(4, int), np.arange(4.0)).value is None


@pytest.mark.parametrize(("m", "n"), [(10, 100), (40, 200)])
def test_intervals_of_false_alarms_at_recall_hold_the_truth(m, n):
    truth, labels, held = 0.298, np.repeat([1, 0], [m, n]), 0
    for seed in range(100):
        scores = np.random.default_rng(seed).normal(size=m + n) + 1.8124 * labels
        made = false_alarms_at_recall(labels, scores)
        held += made.low <= truth <= made.high
    assert held >= 90
