"""The verdict in one word follows from the record, and says why."""

from __future__ import annotations

import numpy as np
import pytest

from residua import evaluate_classification, evaluate_detection
from residua.evaluation.arrays import judge
from residua.evaluation.reconstruction import evaluate_errors
from residua.evaluation.standings import by_baseline
from residua.evaluation.verdict import compared, verdict_of, with_verdict
from residua.metrics import rate_interval
from residua.records import Estimate, Evaluation, Finding, Standing

AREA = Estimate(value=0.95, low=0.9, high=0.98, n=136)


def detector(caught=(48, 52), flagged=(2, 84), *, area=AREA, findings=(), **more):
    metrics = {
        "roc_auc": area,
        "recall": rate_interval(*caught),
        "false_alarm_rate": rate_interval(*flagged),
    }
    return Evaluation(
        job="detect", n_images=136, split="test", metrics=metrics, findings=findings, **more
    )


def error(code, meaning="Something is wrong (12 of 84). Really."):
    return Finding(code=code, severity="error", meaning=meaning, what_to_do="Mend it.")


def standing(baseline, low, high):
    difference = Estimate(value=(low + high) / 2, low=low, high=high)
    return Standing(metric="roc_auc", difference=difference, baseline=baseline)


@pytest.mark.parametrize(
    ("caught", "flagged", "word"),
    [
        ((48, 52), (2, 84), "usable"),
        ((0, 52), (1, 84), "useless"),
        ((0, 5), (1, 84), "not shown"),  # five images show nothing
        ((4, 5), (0, 84), "not shown"),
        ((20, 52), (2, 84), "not shown"),  # fewer than half, and not for nothing
        ((52, 52), (30, 84), "not shown"),  # a third of the good parts is thrown away
        ((52, 52), (0, 9), "not shown"),  # nine good parts cannot show a quarter
        ((270, 300), (270, 300), "useless"),
    ],
)
def test_the_word_of_a_threshold_follows_from_counts(caught, flagged, word):
    found = verdict_of(detector(caught, flagged))
    assert found.word == word and found.because
    assert all(one.endswith(".") and len(one) < 120 for one in found.because)


def test_a_threshold_chosen_on_the_judged_images_is_not_shown_to_be_usable():
    chosen = error("threshold-optimism").model_copy(update={"severity": "warning"})
    found = verdict_of(detector((48, 52), (2, 84), findings=(chosen,)))
    assert found.word == "not shown" and "chosen on these images" in found.because[0]


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.85, 0.95, "usable"),
        (0.7, 0.9, "not shown"),
        (0.4, 0.7, "not shown"),
        (0.45, 0.55, "useless"),
        (0.1, 0.3, "useless"),
    ],
)
def test_without_a_threshold_the_ranking_decides_and_the_threshold_is_missed(low, high, word):
    area = Estimate(value=(low + high) / 2, low=low, high=high, n=90)
    found = verdict_of(
        Evaluation(job="detect", n_images=90, split="test", metrics={"roc_auc": area})
    )
    assert found.word == word
    assert any("threshold is missing" in one for one in found.because) or word == "useless"


def test_an_error_caps_the_word_and_is_a_reason_without_its_brackets():
    found = verdict_of(detector(findings=(error("leakage"),)))
    assert (found.word, found.because) == ("not shown", ("Something is wrong.",))
    warned = error("leakage").model_copy(update={"severity": "warning"})
    assert verdict_of(detector(findings=(warned,))).word == "usable"


def test_nothing_is_useless_while_an_error_may_make_it_look_so():
    assert verdict_of(detector((0, 52), findings=(error("leakage"),))).word == "useless"
    assert verdict_of(detector((0, 52), findings=(error("hard-scores"),))).word == "not shown"


def test_a_baseline_shown_better_makes_useless_and_an_even_one_does_not():
    better = {"brightness": standing("better", -0.09, -0.02)}
    found = verdict_of(detector(standings=better))
    assert found.word == "useless" and "Mean brightness is better by ROC AUC" in found.because[0]
    even = verdict_of(detector(standings={"pca": standing("no difference shown", -0.09, 0.02)}))
    assert even.word == "usable" and "It is not shown to be better than PCA." in even.because


def test_pairs_come_before_intervals_that_do_not_meet_and_tried_sizes_do_not_count():
    other = {
        "pca": {"roc_auc": Estimate(value=0.6, low=0.5, high=0.7)},
        "contrast": {"roc_auc": Estimate(value=0.99, low=0.985, high=0.995)},
        "mean_image": {"roc_auc": Estimate(value=0.97, low=0.94, high=0.99)},
        "pca_8": {"roc_auc": Estimate(value=0.99, low=0.985, high=0.995)},
    }
    record = detector(
        baselines=other, standings={"pca": standing("no difference shown", -0.1, 0.1)}
    )
    assert compared(record) == {
        "pca": "no difference shown",
        "contrast": "better",
        "mean_image": "no difference shown",
    }


def test_labels_of_one_kind_or_none_show_nothing():
    scores = np.arange(90.0)
    said = {
        kind: evaluate_detection(labels, scores, operating_point=85.0).verdict
        for kind, labels in (("none", None), ("normal", np.zeros(90)), ("bad", np.ones(90)))
    }
    assert {one.word for one in said.values()} == {"not shown"}
    assert "Without labels" in said["none"].because[0]
    assert "misses" in said["normal"].because[0] and "false alarms" in said["bad"].because[0]


@pytest.mark.parametrize(
    ("own", "word"), [(0.001, "usable"), (0.02, "not shown"), (0.05, "useless")]
)
def test_a_reconstructor_has_to_beat_the_mean_image_and_pca(own, word):
    rng = np.random.default_rng(0)
    columns = {
        name: level * rng.uniform(0.5, 1.5, 80)
        for name, level in (("mse", own), ("mean_image/mse", 0.05), ("pca/mse", 0.02))
    }
    beside = {name: columns.pop(name) for name in list(columns) if "/" in name}
    record = evaluate_errors(columns, baselines=by_baseline(beside))
    assert record.verdict.word == word
    alone = evaluate_errors(columns).verdict
    assert alone.word == "not shown" and "No baseline was compared" in alone.because[0]


@pytest.mark.parametrize(("share", "word"), [(0.95, "usable"), (0.0, "useless")])
def test_a_classifier_has_to_beat_the_commonest_class(share, word):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(["bad", "good"], [40, 160]))
    said = np.where(rng.random(200) < share, labels, "good")
    assert evaluate_classification(labels, said).verdict.word == word


def test_few_images_of_classes_are_not_shown():
    record = evaluate_classification(["a", "a", "b", "b"], ["a", "b", "b", "b"])
    assert record.verdict.word == "not shown"
    assert "commonest class" in record.verdict.because[0]


@pytest.mark.parametrize(("flipped", "word"), [(0.02, "usable"), (0.5, "not shown")])
def test_several_labels_are_found_and_right_or_not(flipped, word):
    rng = np.random.default_rng(0)
    labels = rng.random((200, 4)) < 0.4
    record = evaluate_classification(labels, labels ^ (rng.random(labels.shape) < flipped))
    assert record.verdict.word == word


def test_judge_gives_the_verdict_of_all_that_it_merges():
    rng = np.random.default_rng(0)
    x = rng.random((60, 8, 8, 1)).astype(np.float32)
    noise = np.where(np.arange(60) >= 30, 0.3, 0.02)[:, None, None, None]
    made = np.clip(x + noise * rng.normal(size=x.shape), 0, 1)
    record, _ = judge(images=x, reconstructions=made, labels=np.repeat([0, 1], 30), threshold=0.01)
    assert record.verdict == verdict_of(record)
    shown, _ = judge(
        scores=rng.normal(size=90), labels=np.repeat([0, 1], 45), threshold=9.0, metric="roc_auc"
    )
    assert shown.verdict.word == "useless"


def test_a_finding_that_comes_later_changes_the_word():
    record = with_verdict(detector())
    later = with_verdict(record.model_copy(update={"findings": (error("leakage"),)}))
    assert (record.verdict.word, later.verdict.word) == ("usable", "not shown")
