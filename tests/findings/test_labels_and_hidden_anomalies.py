"""Wrong labels and anomalies among images taken for normal: found where they are planted, and not
where scores are merely skewed, classes merely alike, and detectors merely weak."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from residua.evaluation.arrays import judge
from residua.evaluation.check import check_sources, neighbour_votes
from residua.evaluation.detection import detection_facts
from residua.findings import (
    FINDINGS,
    find_all,
    find_hidden_anomalies,
    find_label_noise,
    find_label_noise_in_scores,
)
from residua.findings.hidden_anomalies import scores_apart
from residua.images import ImageSet, load_images
from residua.thresholds import choose_threshold

SHAPES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "lognormal": lambda rng, n: 3 + rng.lognormal(0, 1, n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "chi-squared": lambda rng, n: rng.chisquare(3, n),
    "uniform": lambda rng, n: rng.random(n),
    "two kinds": lambda rng, n: rng.normal(size=n) + 4 * (rng.random(n) < 0.3),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_scores_that_are_merely_skewed_do_not_lie_apart(shape: str) -> None:
    rng = np.random.default_rng(0)
    accused = [scores_apart(SHAPES[shape](rng, 150)) is not None for _ in range(40)]
    assert sum(accused) <= 1


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (1e-6, 0), (1e3, -1e4)])
def test_scores_lie_apart_on_every_scale(scale: float, shift: float) -> None:
    scores = np.append(np.random.default_rng(1).normal(size=200), [9.0, 8.0]) * scale + shift
    assert scores_apart(scores).rows.tolist() == [200, 201]


@pytest.mark.parametrize("scores", [np.zeros(100), np.arange(39.0), np.repeat([0.0, 1.0], 50)])
def test_too_few_scores_and_such_that_do_not_spread_say_nothing(scores: np.ndarray) -> None:
    assert scores_apart(scores) is None


def test_a_group_that_lies_apart_counts_once_and_all_its_images_are_named() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(60), 5)
    scores = rng.normal(size=60)[groups] + 0.1 * rng.normal(size=300)
    assert scores_apart(scores, groups) is None
    assert set(scores_apart(scores + 9 * (groups == 7), groups).rows.tolist()) == {*range(35, 40)}


def test_what_hidden_anomalies_cost_is_told_and_little_cost_is_a_note() -> None:
    rng = np.random.default_rng(3)
    calibration = np.append(rng.normal(size=300), rng.normal(9, 0.5, 4))
    labels = np.arange(400) < 100
    kinds = [kind for kind in FINDINGS if kind.code == "hidden-anomalies"]
    for away, severity in ((5, "warning"), (30, "note")):
        scores = rng.normal(size=400) + away * labels
        point = choose_threshold("false-alarms<=0.01", calibration)
        facts = detection_facts(labels, scores, operating_point=point)
        (told,), figures = find_all(replace(facts, calibration=calibration), kinds)
        assert (told.severity, told.measured["n_apart"]) == (severity, 4)
        assert told.measured["threshold_without"] < 5 < told.measured["threshold"]
        assert figures["hidden-anomalies"].histogram.counts["apart"].sum() == 4
    assert "--contamination" in told.what_to_do


def test_hidden_anomalies_are_named_by_path_and_looked_for_in_train_scores_too() -> None:
    rng = np.random.default_rng(4)
    scores = np.append(rng.normal(size=100), 12.0)
    told = find_hidden_anomalies(scores, paths=[f"{i}.png" for i in range(101)])
    assert told.measured["paths"] == ["100.png"]
    flags = np.repeat([0, 1], 50)
    record, _ = judge(scores=rng.normal(size=100) + 4 * flags, labels=flags, train_scores=scores)
    (found,) = [one for one in record.findings if one.code == "hidden-anomalies"]
    assert found.measured["part"] == "training"


@pytest.mark.parametrize("distance", [0, 1, 2, 4])
def test_a_weak_detector_does_not_accuse_labels(distance: float) -> None:
    rng = np.random.default_rng(5)
    flags = np.arange(300) < 100
    told = [
        find_label_noise_in_scores(
            rng.normal(size=300) + distance * flags, flags, rng.normal(size=200)
        )
        for _ in range(20)
    ]
    assert sum(one is not None and one.severity == "warning" for one in told) == 0


@pytest.mark.parametrize("with_calibration", [True, False])
def test_wrong_labels_of_a_good_detector_are_found(with_calibration: bool) -> None:
    rng = np.random.default_rng(6)
    flags = np.arange(300) < 100
    scores, labels = rng.normal(size=300) + 6 * flags, flags.copy()
    labels[[*range(12), *range(280, 300)]] ^= True
    calibration = rng.normal(size=200) if with_calibration else None
    told = find_label_noise_in_scores(scores, labels, calibration)
    assert told.severity == "warning"
    n = told.measured["n_labelled_normal"]
    assert n >= 3
    assert set(told.measured["rows"][:n]) <= set(range(12))
    assert told.measured["n_labelled_anomalous"] > 5


def test_scores_that_all_moved_are_drift_and_no_wrong_labels() -> None:
    rng = np.random.default_rng(7)
    flags = np.arange(300) < 100
    scores = rng.normal(size=300) + np.where(flags, 4, 2)
    assert find_label_noise_in_scores(scores, flags, rng.normal(size=200)) is None


@pytest.mark.parametrize(("share", "is_found"), [(0, False), (0.15, True)])
def test_wrong_classes_are_found_among_digits_by_their_neighbours(
    share: float, is_found: bool
) -> None:
    digits = load_images("digits")[:500]
    rng = np.random.default_rng(8)
    labels = np.array([int(one) for one in digits.labels])
    wrong = rng.random(500) < share
    labels = np.where(wrong, (labels + rng.integers(1, 10, 500)) % 10, labels)
    given = ImageSet.from_arrays(digits.array(), labels.astype(str))
    found = check_sources([given])
    told = [one for one in found.findings if one.code == "label-noise"]
    assert bool(told) == is_found
    if is_found:
        rows = np.array(told[0].measured["rows"])
        assert wrong[rows].mean() > 0.9
        assert len(found.figures["label-noise"].groups) > 1


def test_a_class_that_the_judge_does_not_know_is_not_accused() -> None:
    true = np.repeat([0, 1], 50)
    always_first = np.tile([0.95, 0.05], (100, 1))
    assert find_label_noise(true, always_first, ["a", "b"]) is None
    assert find_label_noise(np.full(100, -1), always_first, ["a", "b"]) is None


def test_neighbours_of_one_group_have_no_vote() -> None:
    images = [np.full((8, 8, 1), value, np.uint8) for value in range(0, 240, 4)]
    labels = np.arange(60) // 30
    groups = np.where(np.arange(60) < 12, "one part", None)
    votes = neighbour_votes(images, labels, 2, groups)
    assert votes.sum(axis=1) == pytest.approx(1)
    alone = neighbour_votes([images[0]] * 12 + images[12:], labels, 2, groups)
    assert alone[0] == pytest.approx([1, 0])
