"""Every finding: when it is made, when it is not, how severe it is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from residua import findings
from residua.evaluation.detection import detection_facts
from residua.evaluation.labels import DetectionLabels
from residua.findings import (
    FINDINGS,
    find_all,
    find_broken_promise,
    find_clipped_values,
    find_collapsed_reconstruction,
    find_inflated_accuracy,
    find_majority_class,
    find_meaningless_accuracy,
    find_most_confused,
    find_not_better_than_baseline,
    find_not_better_than_chance,
    find_overfitting,
    find_overlap,
    find_reversed_scores,
    find_scale,
    find_shared_scores,
    find_threshold_optimism,
    find_threshold_trade_off,
    find_too_few_images,
    find_torn_groups,
    find_undefined_metric,
    overfitting,
)
from residua.records import Estimate, OperatingPoint, Standing
from residua.thresholds import choose_threshold

RNG = np.random.default_rng(0)
PAGES = Path(__file__).parents[2] / "docs" / "findings"


def test_codes_are_unique_and_written_with_hyphens() -> None:
    codes = [kind.code for kind in FINDINGS]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("kind", FINDINGS, ids=lambda kind: kind.code)
def test_every_code_has_a_page_that_names_it_and_says_what_to_do(kind) -> None:
    text = (PAGES / f"{kind.code}.md").read_text(encoding="utf-8")
    assert f"`{kind.code}`" in text
    assert "## What to do" in text


@pytest.mark.parametrize("kind", FINDINGS, ids=lambda kind: kind.code)
def test_every_diagnostic_is_public_and_its_module_says_its_code(kind) -> None:
    assert getattr(findings, kind.find.__name__) is kind.find
    assert kind.code == __import__(kind.find.__module__, fromlist=["KIND"]).KIND.code


def test_20_times_the_training_error_is_overfitting_and_not_ready_for_production() -> None:
    told = find_overfitting(np.array([0.0005]), np.array([0.01]))
    assert told.severity == "error"
    assert told.measured["ratio"] == pytest.approx(20)
    assert "memorised" in told.meaning
    assert "Not ready for production" in told.meaning


def test_overfitting_of_samples_has_an_interval_that_holds_the_true_ratio() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        told = find_overfitting(rng.gamma(2, 1, 80), rng.gamma(2, 1.5, 60))
        held += told.measured["low"] <= 1.5 <= told.measured["high"]
    assert 0.92 <= held / 300 <= 0.98


@pytest.mark.parametrize(
    ("factor", "severity"), [(1, "ok"), (1.6, "warning"), (5, "error"), (0.5, "ok")]
)
def test_the_severity_of_overfitting_follows_what_the_data_show(
    factor: float, severity: str
) -> None:
    train, new = RNG.gamma(2, 1, 500), RNG.gamma(2, 1, 500) * factor
    assert find_overfitting(train / train.mean(), new / new.mean() * factor).severity == severity


def test_few_noisy_images_do_not_make_an_error_of_a_large_ratio() -> None:
    told = find_overfitting(np.array([0.1, 0.2, 0.3]), np.array([0.1, 3.0, 0.2]))
    assert told.measured["ratio"] > 5
    assert told.severity == "ok"


def test_images_without_labels_may_be_anomalous_and_show_no_overfitting() -> None:
    nothing, rng = np.zeros(40, bool), np.random.default_rng(0)
    facts = detection_facts(
        DetectionLabels(nothing, nothing),
        rng.gamma(9, 1, 40) + 90,
        train_scores=rng.gamma(9, 1, 60),
    )
    facts = replace(facts, calibration=rng.gamma(9, 1, 50))
    (told,) = find_all(facts, [overfitting.KIND])[0]
    assert told.severity != "error" and told.measured["n_new"] == 50


def test_overfitting_says_nothing_of_negative_scores_and_of_nothing() -> None:
    assert find_overfitting(np.array([-1.0, 2]), np.array([1.0, 2])) is None
    assert find_overfitting(np.zeros(0), np.ones(3)) is None
    assert find_overfitting(np.zeros(3), np.zeros(3)) is None


def test_a_training_error_of_zero_is_an_error_without_a_ratio() -> None:
    told = find_overfitting(np.zeros(3), np.ones(3))
    assert (told.severity, told.measured["ratio"]) == ("error", None)


def test_a_clear_gap_is_measured() -> None:
    told = find_overlap(np.array([0.001, 0.002]), np.array([0.005, 0.007]))
    assert told.severity == "ok"
    assert told.measured["gap"] == pytest.approx(0.003)


@pytest.mark.parametrize("shift", [0.5, 4])
def test_overlap_is_one_minus_the_one_sided_kolmogorov_smirnov_distance(shift: float) -> None:
    from scipy.stats import ks_2samp

    normal, anomalous = RNG.normal(size=300), RNG.normal(size=200) + shift
    told = find_overlap(normal, anomalous)
    distance = ks_2samp(normal, anomalous, alternative="greater").statistic
    assert told.measured["overlap"] == pytest.approx(1 - distance)
    assert told.severity == "note"


@pytest.mark.parametrize(("rates", "severity"), [
    ({"recall": Estimate(value=0.1, low=0.05, high=0.2)}, "warning"),
    ({"recall": Estimate(value=0.3, low=0.2, high=0.4)}, "note"),
    ({"recall": Estimate(value=0.9, low=0.8, high=1.0),
      "false_alarm_rate": Estimate(value=0.7, low=0.6, high=0.8)}, "warning"),
    ({"recall": Estimate(value=0.9), "false_alarm_rate": Estimate(value=0.7)}, "note"),
])  # fmt: skip
def test_an_overlap_is_a_warning_where_the_operating_point_surely_misses_its_job(
    rates: dict[str, Estimate], severity: str
) -> None:
    told = find_overlap(np.arange(20.0), np.arange(20.0) + 5, **rates)
    assert told.severity == severity
    assert ("surely more than" in told.meaning) == (severity == "warning")


def test_overlap_of_reversed_scores_is_one_and_of_one_kind_is_nothing() -> None:
    assert find_overlap(np.array([5.0, 6]), np.array([1.0, 2])).measured["overlap"] == 1
    assert find_overlap(np.array([5.0, 6]), np.zeros(0)) is None


def test_touching_scores_overlap() -> None:
    told = find_overlap(np.array([1.0, 2]), np.array([2.0, 3]))
    assert told.measured["gap"] == 0
    assert told.severity != "ok"


def test_the_trade_off_shows_recall_falling_and_whether_precision_is_monotone() -> None:
    scores = np.arange(8.0)
    monotone = np.array([0, 0, 0, 0, 1, 1, 1, 1], bool)
    told = find_threshold_trade_off(scores, monotone, 3.5)
    recalls = [row["recall"] for row in told.measured["thresholds"]]
    assert [row["name"] for row in told.measured["thresholds"]] == ["low", "chosen", "high"]
    assert recalls == sorted(recalls, reverse=True)
    assert told.measured["precision_is_monotone"]
    bumpy = np.array([0, 1, 0, 1, 1, 1, 1, 0], bool)
    assert not find_threshold_trade_off(scores, bumpy, 3.5).measured["precision_is_monotone"]


def test_an_undefined_metric_is_told_only_where_there_is_one() -> None:
    assert find_undefined_metric([], "x", "y") is None
    told = find_undefined_metric(["roc_auc", "f1"], "All images are normal.", "Add some.", n=3)
    assert told.measured == {"metrics": ["roc_auc", "f1"], "n": 3}
    assert "ROC AUC and F1" in told.meaning


def test_too_few_images_speaks_of_small_kinds_and_of_promises() -> None:
    assert find_too_few_images({"normal": 500, "anomalous": 500}) is None
    assert find_too_few_images({"normal": 500, "anomalous": 29}).severity == "warning"
    assert find_too_few_images({"normal": 500, "anomalous": 0}) is None
    point = OperatingPoint(threshold=1, policy="recall>=0.99", how="x")
    told = find_too_few_images({"normal": 500, "anomalous": 298}, operating_point=point)
    assert (told.severity, told.measured["n_needed"]) == ("note", 299)
    assert find_too_few_images({"normal": 500, "anomalous": 299}, operating_point=point) is None


@pytest.mark.parametrize(
    ("policy", "metric", "low", "high", "is_broken"),
    [
        ("false-alarms<=0.01", "false_alarm_rate", 0.02, 0.04, True),
        ("false-alarms<=0.01", "false_alarm_rate", 0.005, 0.04, False),
        ("recall>=0.9", "recall", 0.5, 0.8, True),
        ("recall>=0.9", "recall", 0.5, 0.95, False),
        ("precision>=0.9", "precision", 0.1, 0.2, False),
        ("max-f1", "f1", 0.1, 0.2, False),
        ("0.004", "recall", 0.1, 0.2, False),
    ],
)
def test_a_promise_is_broken_where_the_interval_excludes_it(
    policy, metric, low, high, is_broken
) -> None:
    point = OperatingPoint(threshold=1, policy=policy, how="x")
    told = find_broken_promise(
        point, {metric: Estimate(value=(low + high) / 2, low=low, high=high, n=1000)}
    )
    assert (told is not None) == is_broken
    assert told is None or told.severity == "error"


def test_what_an_unlucky_calibration_explains_is_a_note() -> None:
    calibration = Estimate(value=4 / 1000, n=1000)
    point = OperatingPoint(
        threshold=1, policy="false-alarms<=0.01", how="x", rates={"false_alarm_rate": calibration}
    )
    for faults, severity in ((35, "error"), (16, "note")):
        alarms = Estimate(value=faults / 1000, low=0.0101, high=0.06, n=1000)
        told = find_broken_promise(point, {"false_alarm_rate": alarms})
        assert told is not None
        assert told.severity == severity
    of_parts = Estimate(value=0.035, low=0.0101, high=0.2, n=1000, n_groups=50, n_effective=60)
    told = find_broken_promise(point, {"false_alarm_rate": of_parts})
    assert told is not None
    assert told.severity == "note"


def test_what_was_not_promised_is_not_broken() -> None:
    rates = {
        "recall": Estimate(value=0.5, low=0.45, high=0.55, n=1000),
        "false_alarm_rate": Estimate(value=0.2, low=0.18, high=0.22, n=1000),
    }
    chosen = {
        "recall": Estimate(value=0.9, n=1000),
        "false_alarm_rate": Estimate(value=0.01, n=1000),
    }
    base = OperatingPoint(
        threshold=1, policy="precision>=0.9", how="x", prevalence=0.3, rates=chosen
    )
    for promise, severity in (("none", None), (None, None), ("images", "error")):
        told = find_broken_promise(base.model_copy(update={"promise": promise}), rates)
        assert (told and told.severity) == severity
    known = base.model_copy(update={"policy": "false-alarms<=0.05", "promise": "known groups"})
    assert find_broken_promise(known, rates) is None
    hidden = base.model_copy(update={"policy": "false-alarms<=0.05", "contamination": 0.3})
    assert find_broken_promise(hidden, rates) is None


def test_optimism_is_told_with_its_number_and_without_one_where_it_cannot_be_estimated() -> None:
    labels = np.arange(120) < 20
    told = find_threshold_optimism("max-f1", RNG.normal(size=120) + labels, labels)
    assert told.severity == "warning"
    assert told.measured["apparent"] - told.measured["cross_fitted"] == pytest.approx(
        told.measured["optimism"]
    )
    unknown = find_threshold_optimism("quantile:0.9", RNG.normal(size=120), np.zeros(120, bool))
    assert "cannot be estimated" in unknown.meaning


def test_accuracy_of_a_reconstructor_is_an_error_with_the_right_question() -> None:
    told = find_meaningless_accuracy("reconstruct")
    assert told.severity == "error"
    assert all(word in told.what_to_do for word in ("mse", "psnr", "ssim", "roc_auc"))


def test_the_demonstration_is_kept_as_measured() -> None:
    from residua.metrics.demonstration import accuracy_demonstration

    image = np.array([0, 0, 0, 0.4, 1]).reshape(1, 1, 5, 1)
    told = find_meaningless_accuracy(
        "reconstruct", demonstration=accuracy_demonstration(image, image)
    )
    assert (told.measured["ceiling"], told.measured["black"]) == (0.8, pytest.approx(0.6))


def test_element_wise_accuracy_is_called_inflated() -> None:
    told = find_inflated_accuracy([[1, 0, 0, 0, 0, 1]], [[0.23, 0.34, 0.45, 0.22, 0.10, 0.9]])
    assert told.severity == "warning"
    assert told.measured["element_wise_accuracy"] == pytest.approx(5 / 6)
    assert (told.measured["recall"], told.measured["subset_accuracy"]) == (0.5, 0.0)
    balanced = RNG.random((50, 4)) < 0.6
    assert find_inflated_accuracy(balanced, balanced).severity == "note"


@pytest.mark.parametrize(("low", "severity"), [(0.85, "warning"), (0.95, "ok")])
def test_the_commonest_class_is_the_least_an_accuracy_has_to_beat(
    low: float, severity: str
) -> None:
    assert (
        find_majority_class(Estimate(value=0.96, low=low, high=0.99), 0.9, "good").severity
        == severity
    )


@pytest.mark.parametrize(
    ("words", "severity", "named"),
    [
        (("worse", "worse"), "ok", "pca"),
        (("worse", "no difference shown"), "warning", "mean"),
        (("no difference shown", "better"), "warning", "mean"),
        (("better", "better"), "warning", "pca"),
        ((None, "worse"), "note", "pca"),
    ],
)
def test_a_baseline_is_beaten_in_pairs_or_not(words, severity: str, named: str) -> None:
    baselines = {
        "pca": Estimate(value=0.9), "mean": Estimate(value=0.8), "none": Estimate(value=None)
    }  # fmt: skip
    difference = Estimate(value=0.05, low=0.02, high=0.08)
    pairs = {
        name: Standing(metric="roc_auc", difference=difference, baseline=word)
        for name, word in zip(baselines, words, strict=False)
        if word is not None
    }
    model = Estimate(value=0.95, low=0.92, high=0.97)
    told = find_not_better_than_baseline("roc_auc", model, baselines, standings=pairs)
    assert (told.severity, told.measured["baseline"]) == (severity, named)
    assert named not in pairs or "+0.050 [+0.020, +0.080]" in told.meaning


def test_baselines_without_values_an_image_are_compared_by_values_and_told_so() -> None:
    find, pca = find_not_better_than_baseline, {"pca": Estimate(value=0.9)}
    ahead = find("roc_auc", Estimate(value=0.95, low=0.92, high=0.97), pca)
    assert ahead.severity == "note" and "not compared in pairs" in ahead.meaning
    assert find("roc_auc", Estimate(value=0.9), pca).severity == "warning"
    assert find("roc_auc", Estimate(value=None), pca) is None


def test_the_advice_names_the_recipe_of_a_baseline_and_what_a_shortcut_means() -> None:
    def advice(metric: str, name: str, value: float) -> str:
        told = find_not_better_than_baseline(
            metric, Estimate(value=0.5), {name: Estimate(value=value)}
        )
        return told.what_to_do

    assert "residua fit SOURCE --recipe pca" in advice("roc_auc", "pca", 0.9)
    assert "residua fit SOURCE --recipe neighbours" in advice("roc_auc", "pixel_neighbours", 0.9)
    assert "--recipe" not in advice("accuracy", "pixel_neighbours", 0.9)
    assert "One number per image" in advice("roc_auc", "brightness", 0.9)


def test_where_no_difference_is_shown_nobody_is_sent_from_one_to_the_other() -> None:
    pairs = Standing(
        metric="roc_auc", difference=Estimate(value=0.0), baseline="no difference shown"
    )
    for name, recipe in (("pca", "pca"), ("pixel_neighbours", "neighbours")):
        told = find_not_better_than_baseline(
            "roc_auc", Estimate(value=1.0), {name: Estimate(value=1.0)}, standings={name: pairs}
        )
        assert told.what_to_do.startswith("Either may be the better one")
        assert f"--recipe {recipe}`" in told.what_to_do and "fails" not in told.what_to_do


def test_a_baseline_that_separates_backwards_is_told_with_its_scores_turned_around() -> None:
    paired = Standing(
        metric="roc_auc",
        difference=Estimate(value=-0.1, low=-0.15, high=-0.05),
        baseline="better",
        is_backwards=True,
    )
    told = find_not_better_than_baseline(
        "roc_auc",
        Estimate(value=0.894),
        {"brightness": Estimate(value=0.006)},
        standings={"brightness": paired},
    )
    assert told.severity == "warning" and told.measured["baseline_value"] == 0.994
    assert "0.994, its scores turned around" in told.meaning


def test_reversed_scores_are_an_error_and_chance_is_told() -> None:
    told = find_not_better_than_chance(Estimate(value=0.1, low=0.05, high=0.2))
    assert (told.severity, told.measured["reversed"]) == ("error", True)
    assert find_not_better_than_chance(Estimate(value=0.52, low=0.4, high=0.6)).severity == "error"
    assert find_not_better_than_chance(Estimate(value=0.7, low=0.4, high=0.9)).severity == "warning"


def test_an_overstep_is_a_note_and_clipping_far_beyond_it_an_error() -> None:
    assert find_clipped_values("reconstructions", 0, 0, 0.025) is None
    overstep = find_clipped_values("reconstructions", 0.2, 0.025, 0.025)
    assert (overstep.severity, overstep.measured["clipped_share"]) == ("note", 0.2)
    assert find_clipped_values("images", 0.2, 0.026, 0.025).severity == "error"


def test_scales_that_differ_are_an_error_between_floats_and_a_note_beside_bytes() -> None:
    x = RNG.random((3, 8, 8))
    assert find_scale(x, x) is None
    assert find_scale((x * 255).astype(np.uint8), (x * 255).astype(np.uint8)) is None
    told = find_scale(x * 255, x)
    assert told.severity == "error"
    assert told.measured["sum_as_given"] == pytest.approx(told.measured["mse_as_given"] * 64)
    assert find_scale(x * 255, x * 255).severity == "note"
    assert find_scale((x * 255).astype(np.uint8), x).severity == "note"


def test_reconstructions_like_the_mean_image_are_collapsed() -> None:
    x = RNG.random((20, 8, 8, 1))
    find = find_collapsed_reconstruction
    assert find(x, np.broadcast_to(x.mean(axis=0), x.shape)).severity == "error"
    assert find(x, 0.04 * x + 0.96 * x.mean(axis=0)).severity == "warning"
    assert find(x, 0.5 * x + 0.5 * x.mean(axis=0)) is None
    assert find(x[:1], x[:1]) is None


def test_shared_scores_need_distinct_scores_and_more_than_chance() -> None:
    train = RNG.random(200)
    find = find_shared_scores
    assert find(train, RNG.random(200)) is None
    assert find(train, np.concatenate([train[:20], RNG.random(180)])).severity == "error"
    assert find(train, np.concatenate([train[:4], RNG.random(196)])).severity == "warning"
    assert find(np.zeros(200), np.zeros(200)) is None


def test_the_commonest_confusion_is_named() -> None:
    assert find_most_confused(np.diag([3, 4]), ["a", "b"]) is None
    told = find_most_confused(np.array([[5, 1, 0], [0, 9, 3], [0, 1, 2]]), ["a", "b", "c"])
    assert (told.measured["true"], told.measured["predicted"], told.measured["n"]) == ("b", "c", 3)


def test_the_finding_for_a_threshold_chosen_by_policy_reads_the_policys_text() -> None:
    point = choose_threshold("false-alarms<=0.05", RNG.random(100))
    told = find_too_few_images({"normal": 40, "anomalous": 40}, operating_point=point)
    assert told.measured["n_needed"] == 59


def test_a_group_in_two_parts_is_told_and_images_without_a_group_never() -> None:
    groups = np.array(["a", "a", "a", "b", None, None], object)
    told = find_torn_groups(
        groups, np.array(["train", "test", "test", "test", "train", "test"], object)
    )
    assert told.measured == {
        "n_torn": 1,
        "n_groups": 2,
        "n_test_images": 2,
        "share_of_test": 0.5,
        "examples": ["a"],
    }
    assert (
        find_torn_groups(
            groups, np.array(["test", "test", "test", "train", "train", "test"], object)
        )
        is None
    )


def test_scores_called_what_is_higher_on_normal_images_are_an_error_unless_labels_show_that_they_were_negated() -> (
    None
):
    find = find_reversed_scores
    assert find("decision_function").severity == "error"
    assert find("p_normal", Estimate(value=0.2, low=0.1, high=0.3)).severity == "error"
    assert find("p_normal", Estimate(value=0.8, low=0.4, high=0.95)).severity == "error"
    assert find("decision_function", Estimate(value=0.9, low=0.8, high=0.95)).severity == "warning"
    assert find("anomaly_score") is None and find(None) is None
