"""Arguments that are easily mistaken: each is refused in words, none gives a number."""

from __future__ import annotations

import numpy as np
import pytest

import residua
from residua.errors import InputError, PolicyError, ShapeError
from residua.images import load_images
from residua.metrics import metrics_from_confusion, roc_auc
from residua.training.fitting.targets import calibration_set, index_targets, read_targets

LABELS = np.repeat([0, 1], [30, 10])
SCORES = np.random.default_rng(0).normal(size=40) + LABELS


@pytest.mark.parametrize("point", ["false-alarms<=0.05", [1.0, 2.0]])
def test_a_policy_is_no_operating_point(point):
    with pytest.raises(InputError, match=r"must be a threshold.*choose_threshold\(POLICY"):
        residua.evaluate_detection(LABELS, SCORES, operating_point=point)


def test_a_policy_comes_before_the_scores():
    with pytest.raises(PolicyError, match=r"comes before the scores\. Got ndarray"):
        residua.choose_threshold(SCORES, "quantile:0.9")
    assert residua.choose_threshold(np.float32(0.5), SCORES).threshold == 0.5


def test_maps_without_masks_would_be_looked_at_by_nothing():
    with pytest.raises(InputError, match=r"maps must come with masks.*Got maps alone"):
        residua.evaluate_detection(LABELS, SCORES, maps=np.zeros((40, 4, 4)))


def test_reports_and_comparisons_take_records(tmp_path, capsys):
    record = residua.evaluate_detection(LABELS, SCORES)
    assert residua.write_html(tmp_path / "one.html", "One", record).stat().st_size > 1000
    with pytest.raises(InputError, match=r"jobs must be evaluations.*Got ndarray"):
        residua.write_html(tmp_path / "x.html", "None", [SCORES])
    with pytest.raises(InputError, match=r"must be an Evaluation\. Got str"):
        residua.print_evaluation("record")
    for models in ({"a": SCORES, "b": SCORES}, [record, record]):
        with pytest.raises(InputError, match=r"mapping of names to what evaluate gave"):
            residua.compare_models(models)


def test_shapes_that_do_not_fit_are_told():
    with pytest.raises(ShapeError, match="must be square"):
        metrics_from_confusion([[1, 2], [3]])
    with pytest.raises(ShapeError, match=r"\(\) where its image is \(8, 8\)"):
        load_images(np.full((3, 8, 8), 9, np.uint8), masks=[3, None, None])


def test_labels_of_calibration_and_of_judging_are_one_for_each_image_and_any_kind_of_number():
    images = load_images(np.full((4, 8, 8), 9, np.uint8), splits="calibration")
    targets = read_targets([0, 1, 1], 3)
    with pytest.raises(ShapeError, match="Got 3 for 4 images"):
        calibration_set(images, targets, [0, 1, 1])
    for labels in ([0.0, 1.0, np.nan], np.ma.array([0, 1, 1], mask=[0, 0, 1])):
        assert index_targets(labels, (0, 1), where="score").tolist() == [0, 1, -1]
    assert index_targets(np.array([False, True]), (0, 1), where="score").tolist() == [0, 1]


def test_masked_labels_are_no_labels_of_a_metric():
    with pytest.raises(InputError, match=r"labels must have no masked entries. Got 30 masked"):
        roc_auc(np.ma.array(LABELS, mask=LABELS == 0), SCORES)


def test_images_beside_scores_are_shown_and_change_no_number(tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (40, 8, 6), dtype=np.uint8)
    masks, maps = [None] * 30 + [np.eye(8, 6)] * 10, np.full((40, 8, 6), 0.5)
    plain = residua.evaluate_detection(LABELS, SCORES, masks=masks, maps=maps)
    record = residua.evaluate_detection(LABELS, SCORES, masks=masks, maps=maps, images=images)
    shown = record.evidence.gallery
    assert record.metrics == plain.metrics
    assert shown.index[:12].tolist() == np.argsort(-SCORES, kind="stable")[:12].tolist()
    assert np.array_equal(shown.images[..., 0], images[shown.index])
    assert (shown.error_maps == 0.5).all()
    assert shown.masks.any(axis=(1, 2)).tolist() == (LABELS[shown.index] == 1).tolist()
    page = residua.write_html(tmp_path / "shown.html", "Shown", record).read_text("utf-8")
    assert page.count("data:image") >= 16
    with pytest.raises(ShapeError, match="40 scores, 3 images"):
        residua.evaluate_detection(LABELS, SCORES, images=images[:3])
    with pytest.raises(InputError, match=r"float images must lie in \[0, 1\]"):
        residua.evaluate_detection(LABELS, SCORES, images=images * 1.5)
