"""Metrics of classes whose images were sampled in groups."""

from __future__ import annotations

import numpy as np
import pytest

from residua.errors import ShapeError
from residua.evaluation import evaluate_classification

RNG = np.random.default_rng(0)
PARTS = np.repeat([f"part {k}" for k in range(30)], 6)
TRUE = np.repeat(np.arange(30) % 3, 6)
# The images of a part are right or wrong together.
SAID = np.where(np.repeat(np.arange(30) % 7 == 0, 6), (TRUE + 1) % 3, TRUE)
P = np.clip(np.eye(3)[SAID] * 0.6 + 0.2 * RNG.dirichlet(np.ones(3), 180) + 0.2 / 3, 0, 1)
P /= P.sum(axis=1, keepdims=True)


def widths(record) -> dict[str, float]:
    return {name: one.high - one.low for name, one in record.metrics.items()}


@pytest.mark.parametrize("predictions", [SAID, P])
def test_images_of_a_part_that_are_alike_widen_every_interval(predictions: np.ndarray) -> None:
    alone = widths(evaluate_classification(TRUE, predictions))
    grouped = evaluate_classification(TRUE, predictions, groups=PARTS)
    for name, width in widths(grouped).items():
        assert width > alone[name], name
        one = grouped.metrics[name]
        assert one.n_groups <= 30 and (one.n_effective is None or one.n_effective <= 180)
    assert grouped.metrics["balanced_accuracy"].n_effective < 60


def test_groups_of_one_image_each_change_nothing() -> None:
    alone = evaluate_classification(TRUE, P)
    single = evaluate_classification(TRUE, P, groups=np.arange(180))
    for name, one in alone.metrics.items():
        other = single.metrics[name]
        assert one == other, name


def test_fewer_than_five_groups_have_no_interval_and_say_why() -> None:
    metrics = evaluate_classification(TRUE, P, groups=np.arange(180) // 45).metrics
    for name in ("accuracy", "balanced_accuracy", "f1", "cohen_kappa", "log_loss"):
        assert metrics[name].low is None
        assert "4 groups" in metrics[name].caveat


@pytest.mark.parametrize("n_groups", [1, 2])
def test_one_group_of_all_images_has_values_without_intervals(n_groups: int) -> None:
    metrics = evaluate_classification(TRUE, P, groups=np.arange(180) % n_groups).metrics
    for name, one in metrics.items():
        assert one.value is not None and one.low is None, name


@pytest.mark.parametrize("n_groups", [1, 2, 3, 4])
def test_too_few_groups_take_nothing_off_the_calibration_error(n_groups: int) -> None:
    sure = np.where(SAID[:, None] == np.arange(3), 0.98, 0.01)
    wrong = np.where(np.arange(180) % 3 == 0, (SAID + 1) % 3, SAID)
    alone = evaluate_classification(wrong, sure).metrics["expected_calibration_error"]
    few = evaluate_classification(wrong, sure, groups=np.arange(180) % n_groups)
    found = few.metrics["expected_calibration_error"]
    assert found.value == alone.value > 0.2
    assert found.low is None and found.caveat


def test_an_unlabelled_image_leaves_its_group() -> None:
    labels = TRUE.astype(object)
    labels[:6] = None
    metrics = evaluate_classification(labels, SAID, groups=PARTS).metrics
    assert (metrics["accuracy"].n, metrics["accuracy"].n_groups) == (174, 29)


def test_groups_must_be_of_every_image() -> None:
    with pytest.raises(ShapeError, match="groups must name the group of every image"):
        evaluate_classification(TRUE, SAID, groups=PARTS[:-1])


def test_several_labels_are_widened_too() -> None:
    y = np.repeat(RNG.random((30, 4)) < 0.4, 6, axis=0)
    p = y ^ np.repeat(RNG.random((30, 4)) < 0.1, 6, axis=0)
    alone = widths(evaluate_classification(y, p, multilabel=True))
    grouped = evaluate_classification(y, p, multilabel=True, groups=PARTS)
    for name, width in widths(grouped).items():
        assert width > alone[name], name


def test_several_labels_that_are_all_right_have_bounds() -> None:
    y = RNG.random((40, 3)) < 0.5
    metrics = evaluate_classification(y, y, multilabel=True).metrics
    for name, one in metrics.items():
        assert one.low is not None and one.high is not None, name
        assert one.low < 1 if name != "hamming_loss" else one.high > 0
    # No image of 40 shows a wrong label: the 120 labels are not 120 images.
    assert metrics["precision"].low < 0.93
