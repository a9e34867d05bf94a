"""Baselines beside the model in pairs: what is shown, what is turned around, and what is not
compared."""

from __future__ import annotations

import numpy as np
import pytest

from residua import evaluate_classification, evaluate_detection
from residua.errors import RangeError, ShapeError
from residua.evaluation.paired import paired_roc_auc, paired_shares
from residua.evaluation.probes import evaluate_codes
from residua.evaluation.reconstruction import evaluate_errors
from residua.evaluation.standings import by_baseline, standing_of_areas
from residua.metrics import roc_auc_difference, roc_auc_interval
from residua.metrics.groups import Groups
from residua.records import Estimate

RNG = np.random.default_rng(20)
LABELS = np.repeat([0, 1], [84, 52])
HARD = RNG.normal(size=136)  # what is hard for one model is hard for the other
MODEL, WEAKER = HARD + 1.2 * LABELS, HARD + 0.7 * LABELS + RNG.normal(0, 0.2, 136)


def standings(**baselines):
    return evaluate_detection(LABELS, MODEL, baselines=baselines).standings


def test_pairs_show_a_difference_where_the_intervals_overlap():
    record = evaluate_detection(LABELS, MODEL, baselines={"untrained": WEAKER})
    own, other = record.metrics["roc_auc"], record.baselines["untrained"]["roc_auc"]
    assert own.low < other.high
    found = record.standings["untrained"]
    assert found.baseline == "worse" and found.difference.low > 0
    assert found.difference == roc_auc_difference(LABELS, MODEL, WEAKER)
    told = next(one for one in record.findings if one.code == "not-better-than-baseline")
    assert told.severity == "ok"


def test_a_baseline_that_separates_backwards_is_turned_around():
    found = standings(brightness=-(RNG.normal(size=136) + 4 * LABELS))["brightness"]
    assert (found.is_backwards, found.baseline) == (True, "better")
    assert found.difference.high < 0
    told = evaluate_detection(LABELS, MODEL, baselines={"brightness": -LABELS.astype(float)})
    assert "turned around" in str([one.meaning for one in told.findings])


def test_a_baseline_below_chance_is_turned_around_as_seldom_as_its_interval_is_wrong():
    noise, labels = RNG.normal(size=(120, 60)), np.repeat([False, True], 30)
    areas = [roc_auc_interval(labels, one) for one in noise]
    assert sum(one.value < 0.5 for one in areas) > 40
    turned = [
        standing_of_areas(labels, labels * 1.0, one, area).is_backwards
        for one, area in zip(noise, areas, strict=True)
    ]
    assert np.mean(turned) < 0.07


def test_groups_widen_the_difference():
    groups = np.arange(136) // 4
    alone = standings(untrained=WEAKER)["untrained"].difference
    grouped = evaluate_detection(
        LABELS,
        np.repeat(MODEL[::4], 4),
        baselines={"pca": np.repeat(WEAKER[::4], 4)},
        groups=groups,
    ).standings["pca"]
    assert grouped.difference.n_groups == 34
    assert grouped.difference.high - grouped.difference.low > alone.high - alone.low


def test_images_without_a_label_take_no_part():
    labels = LABELS.astype(float)
    labels[::5] = np.nan
    known = ~np.isnan(labels)
    found = evaluate_detection(labels, MODEL, baselines={"pca": WEAKER}).standings["pca"]
    assert found.difference == roc_auc_difference(LABELS[known], MODEL[known], WEAKER[known])


def test_without_values_of_each_image_or_one_class_there_is_no_standing():
    metrics = {"pca": {"roc_auc": Estimate(value=0.7)}}
    assert evaluate_detection(LABELS, MODEL, baselines=metrics).standings == {}
    for groups in (None, np.arange(136) // 2):
        normal = evaluate_detection(LABELS * 0, MODEL, baselines={"pca": WEAKER}, groups=groups)
        assert normal.standings == {}


@pytest.mark.parametrize("groups", [None, np.arange(60) // 2])
def test_a_perfect_model_beside_a_constant_baseline_has_an_interval(groups):
    labels = np.repeat([0, 1], 30)
    read = None if groups is None else Groups.read(groups)
    found = paired_roc_auc(labels > 0, labels * 1.0, labels * 0.0, confidence=0.95, groups=read)
    assert found.difference.value == 0.5 and found.difference.low > 0
    assert found.is_shown(0.05)
    same = paired_roc_auc(labels > 0, labels * 1.0, labels * 2.0, confidence=0.95, groups=read)
    assert (same.difference.value, same.difference.low, same.is_shown(0.05)) == (0, None, False)


def test_right_everywhere_is_shown_to_beat_right_nowhere():
    found = paired_shares(np.ones(30, bool), np.zeros(30, bool), confidence=0.95)
    assert found.difference.low > 0.5 and found.is_shown(0.05)


def test_reconstructions_are_compared_by_their_errors_on_the_same_images():
    errors = RNG.lognormal(-5, 1, 80)
    beside = {
        "pca/mse": errors * 1.1, "pca/ssim": np.ones(80), "mean_image/mse": errors * 0.8,
        "untrained/mse": errors + RNG.normal(0, 1e-4, 80),
    }  # fmt: skip
    record = evaluate_errors({"mse": errors}, baselines=by_baseline(beside))
    words = {name: one.baseline for name, one in record.standings.items()}
    assert words["pca"] == "worse" and words["mean_image"] == "better"
    assert words["untrained"] == "no difference shown"
    low = record.metrics["mse"].low
    assert low < record.baselines["pca"]["mse"].value  # the model's own interval shows nothing
    assert record.baselines["pca"]["ssim"].value == 1


def test_classes_are_compared_by_which_images_are_right():
    labels, rows = np.arange(200) % 2, np.arange(200)
    predicted = np.where(rows < 180, labels, 1 - labels)
    right = np.where(rows < 165, 1.0, 0.0)
    right[:4] = np.nan
    record = evaluate_classification(
        labels, predicted, baselines={"pixel_linear": {"accuracy": right}}
    )
    found = record.standings["pixel_linear"]
    assert found.metric == "accuracy" and found.baseline == "worse"
    assert found.difference.value == pytest.approx(15 / 196) and found.difference.n == 196
    assert record.baselines["pixel_linear"]["accuracy"].n == 196


def test_several_labels_an_image_keep_their_baselines():
    holds = RNG.random((60, 3)) > 0.5
    record = evaluate_classification(
        holds, holds.astype(float), baselines={"none": {"accuracy": np.zeros(60)}}
    )
    assert record.standings["none"].baseline == "worse"
    assert record.baselines["none"]["accuracy"].value == 0


def test_probes_of_codes_are_compared_in_pairs():
    labels = np.arange(200) % 2
    codes = RNG.normal(size=(200, 3)) + 4 * labels[:, np.newaxis]
    record = evaluate_codes(codes[:100], labels[:100], codes[100:], labels[100:])
    found = record.standings["majority_class"]
    assert (found.metric, found.baseline) == ("linear_probe_accuracy", "worse")


@pytest.mark.parametrize(
    ("value", "error"),
    [(np.ones(3), ShapeError), ("much", RangeError), (np.ones((2, 2)), ShapeError)],
)
def test_values_that_are_not_one_number_an_image_are_refused(value, error):
    with pytest.raises(error, match=r"baseline pca: mse must"):
        evaluate_errors({"mse": np.ones(4)}, baselines={"pca": {"mse": value}})
