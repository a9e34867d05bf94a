"""Which label is normal: what is read, what is refused, and what is told of it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from residua._check import Problems
from residua._labels import what_grows
from residua.errors import LabelError
from residua.evaluation import evaluate_detection
from residua.evaluation.labels import as_detection_labels
from residua.records import assumptions_of

RNG = np.random.default_rng(3)
OUTLIER = RNG.random(300) < 0.12
SCORES = RNG.normal(size=300) + 2 * OUTLIER
TRUE = roc_auc_score(OUTLIER, SCORES)


def found(record, code: str):
    return next((finding for finding in record.findings if finding.code == code), None)


def auc(labels, **options) -> float:
    return evaluate_detection(labels, SCORES, **options).metrics["roc_auc"].value


@pytest.mark.parametrize(
    ("anomalous", "normal"),
    [
        (1, 0),
        (1.0, 0.0),
        (True, False),
        ("1", "0"),
        ("1.0", "0.0"),
        ("True", "False"),
        ("TRUE", "FALSE"),
        (255, 0),
        ("255", "0"),
        ("NG", "OK"),
        ("fail", "pass"),
        ("Bad", "Good"),
        ("bad ", " GOOD"),
        ("BAD", "ok "),
        ("positive", "negative"),
        ("sick", "healthy"),
        ("malignant", "benign"),
        ("scratch", "no_defect"),
        ("dent", "defect-free"),
        ("n.i.O.", "i.O."),
        ("KO", "fine"),
        ("defect", "part"),
        ("anomaly", "0"),
    ],
)
def test_conventions_that_say_which_label_is_normal_give_the_true_area_and_are_told(
    anomalous, normal
) -> None:
    record = evaluate_detection(np.where(OUTLIER, anomalous, normal), SCORES)
    assert record.metrics["roc_auc"].value == pytest.approx(TRUE)
    (told,) = assumptions_of(record.provenance)
    assert told.about == "normal label"
    assert "--normal" in told.to_tell


@pytest.mark.parametrize(
    ("anomalous", "normal", "named"),
    [
        (-1, 1, 1),
        (-1, 1, "1"),
        (-1.0, 1.0, "1.0"),
        ("-1", "1", "1"),
        (2, 1, "1"),
        (1, 0, 0),
        (0, 1, 1),
        (True, False, False),
        (True, False, "False"),
        (255, 0, "0"),
        ("dog", "cat", "cat"),
        ("dog", "cat", "Cat"),
        ("dog", " cat", "cat"),
        ("yes", "no", "no"),
    ],
)
def test_the_normal_label_that_was_named_is_followed(anomalous, normal, named) -> None:
    assert auc(np.where(OUTLIER, anomalous, normal), normal=named) == pytest.approx(TRUE)


def test_what_was_named_is_no_assumption() -> None:
    assert (
        assumptions_of(evaluate_detection(OUTLIER.astype(int), SCORES, normal="0").provenance) == ()
    )


def test_labels_that_differ_from_the_named_one_by_case_or_blanks_are_normal_and_told() -> None:
    names = np.where(OUTLIER, "crack", np.where(np.arange(300) % 2, "good", "Good ")).astype(object)
    record = evaluate_detection(names, SCORES, normal="good")
    assert record.metrics["roc_auc"].value == pytest.approx(TRUE)
    (told,) = assumptions_of(record.provenance)
    assert "'Good ' too" in told.taken


def refusal(labels, normal=None) -> str:
    with pytest.raises(LabelError) as caught:
        evaluate_detection(labels, np.arange(len(labels)), normal=normal)
    return str(caught.value)


def test_a_refusal_lists_the_labels_and_never_proposes_the_anomaly() -> None:
    assert "-1 (1), 1 (2). In scikit-learn -1 is an outlier and 1 an inlier" in refusal([-1, 1, 1])
    assert "--normal 1 " in refusal([-1, 1, 1])
    assert "--normal -1" not in refusal([-1, 1, 1])
    assert "-1 means that nobody knows" in refusal([-1, 0, 1])
    for labels in ([1, 2, 2], [0, 1, 2], [0, 2], ["yes", "no"], ["cat", "dog", "cow"]):
        assert "--normal LABEL" in refusal(labels)
    assert "cat (1), cow (2), dog (1)" in refusal(["cat", "dog", "cow", "cow"])


def test_amounts_are_no_labels_whether_normal_is_named_or_not() -> None:
    for labels in ([0, 1, 0.37], ["0", "0.37", "1"], RNG.random(30)):
        assert "labels must name kinds, not amounts" in refusal(labels)
        assert "labels must name kinds, not amounts" in refusal(labels, normal="0")


def test_no_label_at_all_assumes_nothing() -> None:
    read = as_detection_labels([None, None], 2, normal=None, problems=Problems("test"))
    assert (read.labelled.any(), read.assumption) == (False, None)


def test_both_ways_round_is_an_error_where_nobody_named_the_normal_label() -> None:
    reversed_labels, reversed_scores = (~OUTLIER).astype(int), -SCORES
    record = evaluate_detection(reversed_labels, reversed_scores)
    assert record.metrics["roc_auc"].value == pytest.approx(
        TRUE
    )  # two wrongs cancel here, and here they don't:
    assert (
        record.metrics["average_precision"].value > average_precision_score(OUTLIER, SCORES) + 0.2
    )
    told = found(record, "high-prevalence")
    assert told.severity == "error"
    assert told.measured["prevalence"] == pytest.approx((~OUTLIER).mean())
    assert "reversed" in told.meaning
    assert found(evaluate_detection(OUTLIER.astype(int), SCORES), "high-prevalence") is None


def test_minus_one_named_as_normal_is_an_error_where_most_images_come_out_anomalous() -> None:
    told = found(
        evaluate_detection(np.where(OUTLIER, -1, 1), -SCORES, normal="-1"), "high-prevalence"
    )
    assert told.severity == "error"
    assert "scikit-learn" in told.meaning
    assert (
        found(evaluate_detection(np.where(OUTLIER, 1, -1), SCORES, normal="-1"), "high-prevalence")
        is None
    )


def test_a_high_prevalence_that_was_named_is_a_note() -> None:
    names = np.where(OUTLIER, "good", "crack")
    assert found(evaluate_detection(names, SCORES), "high-prevalence").severity == "note"
    assert (
        found(
            evaluate_detection((~OUTLIER).astype(int), SCORES, normal=0), "high-prevalence"
        ).severity
        == "note"
    )


def test_one_class_of_ten_as_the_normal_one_is_no_error_where_anomalies_spread_wider() -> None:
    labels = (np.arange(500) % 10 != 0).astype(int)
    scores = np.where(labels == 1, RNG.gamma(2, 2, 500), RNG.gamma(2, 0.5, 500))
    assert found(evaluate_detection(labels, scores), "high-prevalence").severity == "note"


def test_below_one_half_the_advice_is_to_look_and_a_majority_of_anomalies_is_told() -> None:
    told = found(evaluate_detection(OUTLIER, -SCORES), "not-better-than-chance")
    assert told.severity == "error"
    assert told.what_to_do.startswith("Look at the images")
    assert "swap" not in told.what_to_do
    assert "decision_function" in told.what_to_do
    assert "prevalence" not in told.meaning
    assert (
        "prevalence of 92%"
        in found(evaluate_detection(~OUTLIER, SCORES), "not-better-than-chance").meaning
    )


@pytest.mark.parametrize(
    ("low", "high", "severity"), [(0, 1, "error"), (-1, 1, "error"), (0.1, 0.5, "warning")]
)
def test_decisions_given_as_scores_are_called_that(low, high, severity) -> None:
    decided = SCORES > 1
    record = evaluate_detection(OUTLIER, np.where(decided, high, low))
    told = found(record, "hard-scores")
    assert told.severity == severity
    assert told.measured["balanced_accuracy"] == pytest.approx(record.metrics["roc_auc"].value)
    assert found(evaluate_detection(OUTLIER, SCORES), "hard-scores") is None
    assert found(evaluate_detection(OUTLIER, decided + 0.5 * (SCORES > 0)), "hard-scores") is None


@pytest.mark.parametrize(
    ("column", "good", "bad"),
    [
        ("is_good", 1, 0),
        ("normal", True, False),
        ("OK", "yes", "no"),
        ("label_ok", "True", "False"),
        ("inlier", 1.0, 0.0),
        ("is_defect", 0, 1),
        ("anomaly", "no", "yes"),
        ("defective", False, True),
        ("label", 0, 1),
    ],
)
def test_truths_are_read_as_the_name_of_their_column_says(column, good, bad) -> None:
    read = as_detection_labels(
        np.where(OUTLIER, bad, good), 300, normal=None, problems=Problems("test"), column=column
    )
    assert read.is_anomalous.tolist() == OUTLIER.tolist()
    assert ("column is called" in read.assumption.because) == (column != "label")
    named = as_detection_labels([0, 1], 2, normal="0", problems=Problems("test"), column="is_good")
    assert named.is_anomalous.tolist() == [False, True]


@pytest.mark.parametrize(
    ("column", "grows"),
    [
        ("decision_function", "normal"),
        ("Score_Samples", "normal"),
        ("p_normal", "normal"),
        ("p[good]", "normal"),
        ("prob_OK", "normal"),
        ("normality score", "normal"),
        ("mean_ssim", "normal"),
        ("cosine similarity", "normal"),
        ("log_likelihood", "normal"),
        ("negative_log_likelihood", None),
        ("neg_decision_function", None),
        ("anomaly_score", "anomalous"),
        ("p[defect]", "anomalous"),
        ("score", None),
        ("mse", None),
        ("0", None),
        (None, None),
    ],
)
def test_what_a_column_says_that_more_of_it_means(column, grows) -> None:
    assert what_grows(column) == grows
