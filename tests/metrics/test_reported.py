"""The registry of reported metrics: a new one is a single entry, and every record, page and command
reads it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from rich.console import Console
from sklearn import metrics as sklearn_metrics

from residua.cli import main
from residua.evaluation.arrays import judge
from residua.evaluation.report import print_evaluation, write_html
from residua.metrics import reported
from residua.metrics.names import metric_words
from residua.metrics.reported import METRICS, PerImage, ReportedMetric, estimates_of
from residua.metrics.samples import (
    ClassProbabilities,
    ImageErrors,
    OneClass,
    PredictedClasses,
    ScoredImages,
    SeveralLabels,
)

RNG = np.random.default_rng(0)
LABELS = np.arange(60) < 20
SCORES = RNG.normal(size=60) + LABELS


def largest(images, reconstructions):
    return np.abs(images - reconstructions).max(axis=(1, 2, 3)).astype(np.float64)


NEW = (
    ReportedMetric(
        "largest_error",
        "Largest error",
        False,
        "error",
        "the worst pixel of each image",
        "reconstruction",
        per_image=PerImage(largest),
    ),
    ReportedMetric(
        "median_gap",
        "Median gap",
        True,
        "plain",
        "between the medians of both kinds",
        "ranking",
        {
            ScoredImages: lambda sample: sample.without_interval(
                np.median(sample.scores[sample.is_anomalous])
                - np.median(sample.scores[~sample.is_anomalous]),
                len(sample.scores),
            )
        },
    ),
)


@pytest.fixture
def new_metrics(monkeypatch):
    monkeypatch.setattr(reported, "METRICS", (*METRICS, *NEW))


def test_a_new_metric_is_in_json_console_and_report(new_metrics, tmp_path, capsys) -> None:
    np.save(tmp_path / "labels.npy", LABELS.astype(int))
    np.save(tmp_path / "scores.npy", SCORES)
    with pytest.raises(SystemExit) as leaving:
        main(
            [
                *("judge", "--labels", str(tmp_path / "labels.npy")),
                *("--scores", str(tmp_path / "scores.npy")),
                *("--json", str(tmp_path / "o.json"), "--html", str(tmp_path / "o.html")),
            ]
        )
    assert leaving.value.code == 0
    record = json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))
    gap = float(np.median(SCORES[LABELS]) - np.median(SCORES[~LABELS]))
    assert record["metrics"]["median_gap"]["value"] == pytest.approx(gap)
    html = (tmp_path / "o.html").read_text(encoding="utf-8")
    assert "Median gap" in html
    assert "between the medians of both kinds" in html


def test_a_new_metric_of_reconstructions_has_an_interval_and_a_column(
    new_metrics, tmp_path
) -> None:
    images = RNG.random((30, 16, 16))
    record, evidence = judge(images=images, reconstructions=images**2)
    estimate = record.metrics["largest_error"]
    assert estimate.low <= estimate.value <= estimate.high
    assert len(evidence.per_image["largest_error"]) == 30
    write_html(tmp_path / "report.html", "New", [(record, evidence)])
    assert "Largest error" in (tmp_path / "report.html").read_text(encoding="utf-8")
    console = Console(record=True, width=140)
    print_evaluation(record, evidence, console=console)
    assert record.metrics["largest_error"].value is not None
    assert metric_words("largest_error").label == "Largest error"


def test_names_are_unique_and_words_are_complete() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(metric.label and metric.meaning and metric.page for metric in METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_direction_and_range_of_a_metric_per_image_hold_on_worse_reconstructions(metric) -> None:
    if metric.per_image is None:
        pytest.skip("not of reconstructions")
    rng = np.random.default_rng(1)
    x = np.clip(rng.random((6, 32, 32, 1)).cumsum(axis=1) / 32, 0, 1).astype(np.float32)
    near, far = (
        np.clip(x + rng.normal(0, s, x.shape), 0, 1).astype(np.float32) for s in (0.02, 0.3)
    )
    better, worse = (float(metric.per_image.metric(x, r).mean()) for r in (near, far))
    assert (better > worse) == metric.higher_is_better
    assert metric.per_image.least <= min(better, worse)
    assert max(better, worse) <= metric.per_image.most


def test_constant_images_give_finite_numbers_or_infinity_but_never_nan() -> None:
    flat = np.full((4, 32, 32, 1), 0.5, np.float32)
    for name, column in reported.errors_per_image(flat, flat).items():
        assert not np.isnan(column).any(), name


def test_images_without_height_get_no_metric_of_neighbours() -> None:
    flat = RNG.random((4, 1, 64, 1)).astype(np.float32)
    assert {"ssim", "ms_ssim", "msgms"} & set(reported.errors_per_image(flat, flat**2)) == set()


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_rates_at_a_threshold_are_those_of_scikit_learn(tp, fn, fp, tn) -> None:
    anomalous = np.repeat([True, False], [tp + fn, fp + tn])
    flagged = np.repeat([True, False, True, False], [tp, fn, fp, tn])
    found = estimates_of(
        ScoredImages(is_anomalous=anomalous, scores=flagged.astype(float), flagged=flagged)
    )
    if tp + fn and fp + tn:
        assert found["recall"].value == pytest.approx(
            sklearn_metrics.recall_score(anomalous, flagged, zero_division=0)
        )
        assert found["balanced_accuracy"].value == pytest.approx(
            sklearn_metrics.balanced_accuracy_score(anomalous, flagged)
        )
        assert found["accuracy"].value == pytest.approx((anomalous == flagged).mean())
        if tp + fp:
            assert found["precision"].value == pytest.approx(tp / (tp + fp))
        assert found["f1"].value == pytest.approx(2 * tp / (2 * tp + fp + fn))
    else:
        undefined = {"roc_auc", "average_precision", "precision", "f1", "balanced_accuracy"}
        assert {name for name in undefined if found[name].value is not None} == set()


def test_without_a_threshold_there_are_ranking_metrics_alone() -> None:
    found = estimates_of(ScoredImages(is_anomalous=LABELS, scores=SCORES))
    assert list(found) == ["roc_auc", "average_precision", "false_alarm_rate_at_90_recall"]


def test_class_metrics_are_those_of_scikit_learn() -> None:
    true, predicted = RNG.integers(3, size=200), RNG.integers(3, size=200)
    found = estimates_of(PredictedClasses(true=true, predicted=predicted, n_classes=3))
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(true, predicted),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(true, predicted),
        "cohen_kappa": sklearn_metrics.cohen_kappa_score(true, predicted),
        "matthews_correlation": sklearn_metrics.matthews_corrcoef(true, predicted),
        "f1": sklearn_metrics.f1_score(true, predicted, average="macro"),
        "f1_weighted": sklearn_metrics.f1_score(true, predicted, average="weighted"),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value), name
        assert found[name].low <= found[name].value <= found[name].high


def test_probability_metrics_are_those_of_scikit_learn() -> None:
    true = RNG.integers(4, size=300)
    p = RNG.dirichlet(np.ones(4), 300)
    found = estimates_of(ClassProbabilities(true=true, probabilities=p))
    assert found["log_loss"].value == pytest.approx(sklearn_metrics.log_loss(true, p))
    assert found["roc_auc"].value == pytest.approx(
        sklearn_metrics.roc_auc_score(true, p, multi_class="ovr")
    )
    assert found["top_3_accuracy"].value == pytest.approx(
        sklearn_metrics.top_k_accuracy_score(true, p, k=3)
    )
    assert "top_5_accuracy" not in found


def test_several_labels_pool_as_scikit_learn_does() -> None:
    holds, predicted = RNG.random((80, 5)) < 0.3, RNG.random((80, 5)) < 0.4
    found = estimates_of(SeveralLabels(holds=holds, predicted=predicted, given=predicted))
    for name, function in (
        ("precision", sklearn_metrics.precision_score),
        ("recall", sklearn_metrics.recall_score),
        ("f1", sklearn_metrics.f1_score),
    ):
        assert found[name].value == pytest.approx(function(holds, predicted, average="micro"))
    assert found["hamming_loss"].value == pytest.approx(
        sklearn_metrics.hamming_loss(holds, predicted)
    )


def test_a_class_that_is_neither_there_nor_predicted_has_no_number() -> None:
    one = OneClass(holds=np.zeros(9, bool), predicted=np.zeros(9, bool))
    assert (one.precision.value, one.recall.value, one.f1.value) == (None, None, None)


def test_an_infinite_mean_has_no_value() -> None:
    found = estimates_of(ImageErrors(columns={"psnr": np.array([30.0, math.inf])}))
    assert found["psnr"].value is None
