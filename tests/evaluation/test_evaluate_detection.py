"""What a detector's evaluation says, and what it refuses to say."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from residua.errors import InputError, LabelError, RangeError, ShapeError
from residua.evaluation import evaluate_detection, per_image_table
from residua.metrics.pixel_tally import PixelTally
from residua.records import Estimate, OperatingPoint
from residua.thresholds import choose_threshold

RNG = np.random.default_rng(0)
LABELS = np.arange(300) >= 220
SCORES = (RNG.normal(size=300) + 1.5 * LABELS).astype(np.float32)


def codes(record) -> set[str]:
    return {finding.code for finding in record.findings}


def test_every_metric_equals_scikit_learns() -> None:
    record = evaluate_detection(LABELS, SCORES, operating_point=0.8)
    flagged = SCORES > 0.8
    to_the_right, upwards, _ = sk.roc_curve(LABELS, SCORES, drop_intermediate=False)
    expected = {
        "roc_auc": sk.roc_auc_score(LABELS, SCORES),
        "average_precision": sk.average_precision_score(LABELS, SCORES),
        "false_alarm_rate_at_90_recall": to_the_right[np.argmax(upwards >= 0.9 - 1e-9)],
        "precision": sk.precision_score(LABELS, flagged),
        "recall": sk.recall_score(LABELS, flagged),
        "f1": sk.f1_score(LABELS, flagged),
        "accuracy": sk.accuracy_score(LABELS, flagged),
        "balanced_accuracy": sk.balanced_accuracy_score(LABELS, flagged),
        "false_alarm_rate": 1 - sk.recall_score(~LABELS, ~flagged),
        "flagged_rate": flagged.mean(),
    }
    assert {name: estimate.value for name, estimate in record.metrics.items()} == pytest.approx(
        expected
    )
    assert all(
        estimate.low < estimate.value < estimate.high for estimate in record.metrics.values()
    )


def test_intervals_of_recall_and_balanced_accuracy_cover_the_truth() -> None:
    from scipy.stats import norm

    rng = np.random.default_rng(1)
    labels = np.arange(120) >= 80
    truth = {"recall": norm.sf(0.5, 1), "balanced_accuracy": (norm.sf(0.5, 1) + norm.cdf(0.5)) / 2}
    held = dict.fromkeys(truth, 0)
    for _ in range(150):
        record = evaluate_detection(labels, rng.normal(size=120) + labels, operating_point=0.5)
        for name, value in truth.items():
            held[name] += record.metrics[name].low <= value <= record.metrics[name].high
    assert all(n >= 135 for n in held.values())


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.astype(int),
        LABELS.astype(float),
        LABELS.astype(object),
        np.where(LABELS, "crack", "good"),
        np.where(LABELS, "1", "0"),
        np.where(LABELS, "scratch", "OK").astype(object),
        LABELS[:, np.newaxis],
        LABELS.tolist(),
    ],
)
def test_labels_may_be_numbers_booleans_or_names(labels) -> None:
    assert evaluate_detection(labels, SCORES).metrics == evaluate_detection(LABELS, SCORES).metrics


def test_normal_names_which_labels_are_normal() -> None:
    digits = np.where(LABELS, 7, np.arange(300) % 2)
    named = evaluate_detection(digits, SCORES, normal=["0", "1"])
    assert named.metrics == evaluate_detection(LABELS, SCORES).metrics
    assert evaluate_detection(digits.astype(float), SCORES, normal="0,1").metrics == named.metrics


def test_labels_that_name_no_normal_are_refused_with_the_labels_that_are_there() -> None:
    with pytest.raises(
        LabelError,
        match=r"Got the labels cat \(1\), dog \(1\)\. Name what is normal: --normal LABEL",
    ):
        evaluate_detection(["cat", "dog"], [0.1, 0.2])
    with pytest.raises(LabelError, match="normal must name labels that are there"):
        evaluate_detection(["cat", "dog"], [0.1, 0.2], normal="cow")


@pytest.mark.parametrize("missing", [None, np.nan, ""])
def test_unlabelled_images_are_left_out_and_counted(missing) -> None:
    names = np.array(["crack" if flag else "good" for flag in LABELS], dtype=object)
    names[::10] = missing
    kept = np.arange(300) % 10 != 0
    record = evaluate_detection(names, SCORES)
    assert record.n_images == 300
    assert record.metrics == evaluate_detection(LABELS[kept], SCORES[kept]).metrics
    told = next(finding for finding in record.findings if finding.code == "unlabelled-images")
    assert told.measured["n_unlabelled"] == 30


def test_masked_scores_are_refused_by_their_name() -> None:
    masked = np.ma.MaskedArray(SCORES, mask=np.arange(300) < 100)
    with pytest.raises(RangeError, match="evaluate_detection: scores must have no masked entries"):
        evaluate_detection(LABELS, masked)


def test_masked_labels_are_unlabelled() -> None:
    masked = np.ma.MaskedArray(LABELS, mask=np.arange(300) < 100)
    assert evaluate_detection(masked, SCORES).metrics["roc_auc"].n == 200


@pytest.mark.parametrize("labels", [np.zeros(50), np.ones(50), [None] * 50, None])
def test_one_kind_or_none_leaves_null_and_says_why(labels) -> None:
    record = evaluate_detection(labels, np.arange(50.0))
    assert record.metrics["roc_auc"].value is None
    assert record.metrics["average_precision"].value is None
    assert "undefined-metric" in codes(record)
    assert record.model_dump(mode="json")["metrics"]["roc_auc"]["value"] is None


def test_precision_is_null_where_nothing_is_flagged() -> None:
    record = evaluate_detection(LABELS, SCORES, operating_point=100.0)
    assert record.metrics["precision"].value is None
    assert record.metrics["recall"].value == 0


def test_scores_of_any_scale_rank_alike() -> None:
    scores = SCORES.astype(np.float64)
    plain = evaluate_detection(LABELS, scores).metrics["roc_auc"]
    for scale in (1e-9, 1e12):
        assert evaluate_detection(LABELS, scores * scale).metrics["roc_auc"] == plain


def test_reversed_scores_are_an_error() -> None:
    record = evaluate_detection(LABELS, -SCORES)
    assert any(
        finding.code == "not-better-than-chance" and finding.severity == "error"
        for finding in record.findings
    )


def test_a_broken_promise_is_found() -> None:
    point = choose_threshold("false-alarms<=0.05", RNG.normal(size=400) - 2)
    assert "broken-promise" in codes(evaluate_detection(LABELS, SCORES, operating_point=point))


def test_baselines_may_be_scores_or_metrics() -> None:
    given = {"pca": {"roc_auc": Estimate(value=0.99)}, "noise": RNG.normal(size=300)}
    record = evaluate_detection(LABELS, SCORES, baselines=given)
    assert record.baselines["noise"]["roc_auc"].value == pytest.approx(
        sk.roc_auc_score(LABELS, given["noise"])
    )
    told = next(
        finding for finding in record.findings if finding.code == "not-better-than-baseline"
    )
    assert told.measured["baseline"] == "pca"


def test_train_scores_are_compared_with_normal_images_only() -> None:
    normal = np.abs(RNG.normal(size=100))
    scores = np.concatenate([normal, 50 + normal])
    record = evaluate_detection(
        np.arange(200) >= 100, scores, train_scores=np.abs(RNG.normal(size=300))
    )
    told = next(finding for finding in record.findings if finding.code == "overfitting")
    assert told.severity in ("ok", "note")
    assert told.measured["n_new"] == 100


def test_pixel_metrics_equal_scikit_learns_and_leave_out_unknown_masks() -> None:
    maps = RNG.random((6, 8, 8))
    masks = [None, None, maps[2] > 0.7, maps[3] > 0.4, None, np.zeros((8, 8), bool)]
    record = evaluate_detection([0, 0, 1, 1, 1, None], RNG.random(6), masks=masks, maps=list(maps))
    kept = [0, 1, 2, 3, 5]
    truth = np.array(
        [np.zeros((8, 8), bool) if masks[i] is None else masks[i] for i in kept]
    ).ravel()
    values = maps[kept].ravel()
    assert record.metrics["pixel_roc_auc"].value == pytest.approx(sk.roc_auc_score(truth, values))
    assert record.metrics["pixel_average_precision"].value == pytest.approx(
        sk.average_precision_score(truth, values)
    )
    assert record.metrics["pixel_roc_auc"].n == 5


def test_pixel_metrics_without_a_defect_are_null() -> None:
    record = evaluate_detection([0, 1], [0.1, 0.2], masks=[None, None], maps=np.ones((2, 4, 4)))
    assert record.metrics["aupro"].value is None


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match="mask 0 "):
        evaluate_detection(
            [1, 0], [0.1, 0.2], masks=[np.ones((2, 2), bool), None], maps=np.ones((2, 4, 4))
        )


def test_split_and_provenance_are_kept() -> None:
    record = evaluate_detection(LABELS, SCORES, split="calibration", provenance={"by": "me"})
    assert (record.split, record.provenance["by"], record.job) == ("calibration", "me", "detect")


def test_a_number_is_an_operating_point() -> None:
    point = evaluate_detection(LABELS, SCORES, operating_point=0.5).operating_point
    assert isinstance(point, OperatingPoint)
    assert point.threshold == 0.5


@pytest.mark.parametrize(
    ("labels", "scores", "kind"),
    [
        ([0, 1, 1], [0.1, 0.2], ShapeError),
        ([0, 1], [0.1, np.nan], RangeError),
        ([0, 1], [[0.1, 0.2], [0.3, 0.4]], ShapeError),
        ([[0, 1], [1, 0]], [0.1, 0.2], ShapeError),
    ],
)
def test_bad_input_is_refused(labels, scores, kind) -> None:
    with pytest.raises(kind):
        evaluate_detection(labels, scores)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        evaluate_detection(["a", "b"], [np.nan, 1], baselines={"noise": [np.inf, 1]})
    assert len(str(caught.value).splitlines()) == 3


def test_the_table_an_image_flags_3_and_5() -> None:
    table = per_image_table([0.002, 0.0015, 0.005, 0.0008, 0.007], threshold=0.004)
    assert table["id"].tolist() == [1, 2, 3, 4, 5]
    assert table["flagged"].tolist() == [False, False, True, False, True]
    assert "flagged" not in per_image_table([0.1])
    with pytest.raises(ShapeError):
        per_image_table([0.1], ids=["a", "b"])


def _with_maps(n=24):
    masks = [None if row % 2 else np.eye(6, dtype=bool) for row in range(n)]
    maps = [RNG.random((6, 6)) + (0 if row % 2 else 0.3 * np.eye(6)) for row in range(n)]
    return [row % 2 == 0 for row in range(n)], masks, maps


def test_a_pixel_threshold_brings_the_overlap_and_the_defects_found() -> None:
    labels, masks, maps = _with_maps()
    record = evaluate_detection(labels, labels, masks=masks, maps=maps, pixel_threshold=1.1)
    assert record.metrics["defect_detection_rate"].n == 12
    assert record.metrics["marked_normal_rate"].value == 0
    assert 0 < record.metrics["iou"].value < 1
    with pytest.raises(InputError, match="masks and maps"):
        evaluate_detection(labels, labels, pixel_threshold=1.1)


def test_pixel_metrics_know_the_groups_of_the_images_whose_mask_is_known() -> None:
    labels, masks, maps = _with_maps()
    masks[0] = None  # an anomalous one: unknown
    groups = np.repeat(np.arange(12), 2)
    record = evaluate_detection(labels, labels, masks=masks, maps=maps, groups=groups)
    tally = PixelTally()
    for row in range(1, 24):
        tally.add(masks[row], maps[row], row=row)
    same = evaluate_detection(labels, labels, pixels=tally, groups=groups)
    assert record.metrics["aupro"].n_groups == 12
    assert record.metrics["aupro"].n == 23
    assert same.metrics["aupro"] == record.metrics["aupro"]
    unnumbered = PixelTally()
    unnumbered.add(masks[1], maps[1])
    with pytest.raises(ShapeError, match="row="):
        evaluate_detection(labels, labels, pixels=unnumbered, groups=groups)


def test_masks_of_0_and_255_are_read_and_other_numbers_refused() -> None:
    labels, masks, maps = _with_maps()
    as_bytes = [None if one is None else one.astype(np.uint8) * 255 for one in masks]
    plain = evaluate_detection(labels, labels, masks=masks, maps=maps)
    assert evaluate_detection(labels, labels, masks=as_bytes, maps=maps).metrics == plain.metrics
    as_bytes[0] = as_bytes[0] // 2
    with pytest.raises(LabelError, match="mask 0"):
        evaluate_detection(labels, labels, masks=as_bytes, maps=maps)
