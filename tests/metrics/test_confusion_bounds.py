"""Bounds of balanced accuracy, F1, kappa: from a class without a mistake, from a rare class."""

from __future__ import annotations

import numpy as np
import pytest

from residua.metrics.confusion import metrics_from_confusion
from residua.metrics.confusion_bounds import (
    Statistic,
    confusion_bounds,
    kappa,
    matthews,
    mean_f1,
    mean_precision,
    mean_recall,
    weighted_f1,
)
from residua.metrics.intervals import rate_interval
from residua.metrics.reported import estimates_of
from residua.metrics.samples import PredictedClasses, ScoredImages

BUDGET = 1.959964**2
STATISTICS: dict[str, Statistic] = {
    "balanced_accuracy": mean_recall,
    "precision": mean_precision,
    "f1": mean_f1,
    "f1_weighted": weighted_f1,
    "cohen_kappa": kappa,
    "matthews_correlation": matthews,
}
MATRIX = np.array([[30, 3, 1], [2, 15, 0], [1, 1, 4]])


def images_of(matrix: np.ndarray) -> PredictedClasses:
    rows, columns = (
        np.repeat(places.ravel(), matrix.ravel()) for places in np.indices(matrix.shape)
    )
    return PredictedClasses(true=rows, predicted=columns, n_classes=len(matrix))


def shares_of(matrix: np.ndarray) -> list[np.ndarray]:
    shares = matrix / matrix.sum()
    return [np.diag(shares).copy(), shares.sum(axis=1), shares.sum(axis=0)]


@pytest.mark.parametrize("name", STATISTICS)
def test_slopes_are_those_of_finite_differences(name: str) -> None:
    statistic, shares = STATISTICS[name], shares_of(MATRIX)
    slopes = statistic(*shares)
    for part, told in enumerate((slopes.right, slopes.true, slopes.said)):
        for k in range(3):
            more, less = ([one.copy() for one in shares] for _ in range(2))
            more[part][k] += 1e-6
            less[part][k] -= 1e-6
            found = (statistic(*more).value - statistic(*less).value) / 2e-6
            assert told[k] == pytest.approx(found, abs=1e-4)


@pytest.mark.parametrize("name", STATISTICS)
def test_a_value_is_that_of_the_matrix(name: str) -> None:
    read = metrics_from_confusion(MATRIX)
    means = {
        "precision": read.average("precision", "macro"),
        "f1": read.average("f1", "macro"),
        "f1_weighted": read.average("f1", "weighted"),
    }
    value = means[name] if name in means else getattr(read, name)
    assert STATISTICS[name](*shares_of(MATRIX)).value == pytest.approx(value)


def test_of_images_that_are_right_or_wrong_the_bounds_are_wilsons_or_just_outside() -> None:
    wilson = rate_interval(90, 100)
    low, high = confusion_bounds(np.array([[90, 10], [0, 0]]), mean_recall, BUDGET / 100)
    assert low == pytest.approx(wilson.low, abs=1e-4)
    assert wilson.high <= high < wilson.high + 0.01


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("matrix", [np.diag([200, 5]), np.diag([10] * 10), np.diag([1, 1])])
def test_a_classifier_that_is_always_right_has_bounds(name: str, matrix: np.ndarray) -> None:
    estimate = estimates_of(images_of(matrix))[name]
    if name == "precision" and len(matrix) == 2:
        pytest.skip("of two classes it is one class's")
    assert estimate.value == estimate.high == 1
    assert estimate.low < 1 - 1 / matrix.sum()


def test_a_rare_class_widens_what_averages_over_classes() -> None:
    rare, even = (estimates_of(images_of(np.diag(counts))) for counts in ([200, 5], [100, 105]))
    for name in ("balanced_accuracy", "f1", "cohen_kappa", "matthews_correlation"):
        assert rare[name].low < even[name].low - 0.05


def test_intervals_of_five_rare_images_among_205_hold_the_truth() -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        rare, common = rng.binomial(5, 0.8), rng.binomial(200, 0.95)
        matrix = np.array([[common, 200 - common], [5 - rare, rare]])
        low, high = confusion_bounds(matrix, mean_recall, BUDGET / 205)
        held += low <= 0.875 <= high
    assert held >= 186


def test_where_one_class_alone_is_predicted_kappa_has_bounds_and_matthews_no_value() -> None:
    found = estimates_of(images_of(np.array([[9, 0], [3, 0]])))
    assert found["cohen_kappa"].value == 0 < found["cohen_kappa"].high
    assert found["matthews_correlation"].value is None


def test_a_detector_and_a_classifier_of_two_classes_have_one_balanced_accuracy() -> None:
    true, said = np.arange(205) < 5, np.arange(205) < 14
    detector = ScoredImages(is_anomalous=true, scores=said.astype(float), flagged=said)
    classifier = PredictedClasses(true=true * 1, predicted=said * 1, n_classes=2)
    name = "balanced_accuracy"
    assert estimates_of(detector)[name] == estimates_of(classifier)[name]
