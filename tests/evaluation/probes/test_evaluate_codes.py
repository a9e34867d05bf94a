"""Probes on codes: known answers, baselines beside them, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import residua
from residua.errors import LabelError, RangeError, ShapeError
from residua.evaluation.probes import evaluate_codes
from residua.evaluation.probes.probe import LINEAR, NEIGHBOURS, run_probe
from residua.evaluation.report.opening import opening


def rings(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two rings around one centre: neighbours tell them apart, a line does not."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    angle, radius = rng.uniform(0, 2 * np.pi, n), 1 + 2 * labels + 0.1 * rng.normal(size=n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1), labels


def test_neighbours_read_off_what_a_line_cannot():
    (codes, labels), (test, truth) = rings(400, 0), rings(200, 1)
    record = evaluate_codes(codes, labels, test, truth)
    assert record.metrics["neighbours_probe_accuracy"].value > 0.98
    assert record.metrics["linear_probe_accuracy"].value < 0.7


def test_codes_that_hold_nothing_are_no_better_than_the_commonest_class():
    rng = np.random.default_rng(0)
    labels = (rng.random(300) < 0.7).astype(int)
    record = evaluate_codes(
        rng.normal(size=(200, 4)), labels[:200], rng.normal(size=(100, 4)), labels[200:]
    )
    low = record.metrics["linear_probe_accuracy"].low
    assert low < record.baselines["majority_class"]["linear_probe_accuracy"].value
    assert (
        next(one for one in record.findings if one.code == "not-better-than-baseline").severity
        == "warning"
    )


def test_options_are_chosen_inside_train():
    """On noise the strongest penalty and many neighbours are best; on clean codes one neighbour
    will do."""
    rng = np.random.default_rng(1)
    noisy = rng.normal(size=(300, 30))
    labels = (noisy[:, 0] + 2 * rng.normal(size=300) > 0).astype(np.int64)
    assert run_probe(LINEAR, noisy, labels, noisy[:1], seed=0).option <= 0.1
    assert run_probe(NEIGHBOURS, noisy, labels, noisy[:1], seed=0).option > 1
    codes, classes = rings(200, 0)
    assert run_probe(NEIGHBOURS, codes, classes.astype(np.int64), codes[:1], seed=0).option == 1


def test_pixels_and_components_stand_beside_the_code():
    digits = residua.load_images("digits")
    train, test = digits.train[:300], digits.test[:150]
    pixels, test_pixels = train.array(), test.array()
    codes, test_codes = (
        one.reshape(len(one), -1)[:, ::8].astype(float) for one in (pixels, test_pixels)
    )
    record = evaluate_codes(
        codes, train.labels, test_codes, test.labels, images=pixels, test_images=test_pixels
    )
    assert record.baselines["pixels"]["linear_probe_accuracy"].value > 0.85
    assert (
        record.baselines["pca"]["linear_probe_accuracy"].value
        > record.metrics["linear_probe_accuracy"].value
    )
    assert record.provenance["code_dimensions"] == 8
    assert "linear probe" in opening(record).lower()


def test_unlabelled_images_are_left_out_and_counted():
    codes, labels = rings(100, 0)
    some = labels.astype(object)
    some[:10] = None
    record = evaluate_codes(codes, some, codes, some)
    assert record.provenance["fitted_on"] == 90
    assert record.metrics["linear_probe_accuracy"].n == 90
    assert "unlabelled-images" in {one.code for one in record.findings}


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"labels": [0] * 20}, LabelError, "the class 0 alone"),
        ({"labels": [0, 1] * 5}, ShapeError, "20 codes, 10 labels"),
        ({"test_labels": ["7"] * 20}, LabelError, "must occur in train. Got 7"),
        ({"test_codes": np.zeros((20, 3))}, ShapeError, "as many dimensions"),
        ({"codes": np.full((20, 2), np.nan)}, RangeError, "must be finite"),
        ({"codes": np.zeros(20)}, ShapeError, "n_dimensions"),
        ({"test_labels": [None] * 20}, LabelError, "some test images must have a label"),
    ],
)
def test_what_cannot_be_probed_is_refused_with_a_sentence(change, kind, words):
    rng = np.random.default_rng(0)
    given = {
        "codes": rng.random((20, 2)),
        "labels": [0, 1] * 10,
        "test_codes": rng.random((20, 2)),
        "test_labels": [0, 1] * 10,
    }
    with pytest.raises(kind, match=words):
        evaluate_codes(**{**given, **change})


def test_a_class_of_a_single_image_is_no_obstacle():
    codes, labels = rings(60, 0)
    labels = labels.copy()
    labels[0] = 2
    assert (
        evaluate_codes(codes, labels, codes[1:], labels[1:])
        .metrics["neighbours_probe_accuracy"]
        .value
        > 0.9
    )


def test_test_images_of_one_part_are_no_independent_ones():
    labels = np.repeat(np.arange(60) % 2, 5)
    parts = np.repeat(np.arange(60), 5)
    codes = np.random.default_rng(0).normal(size=(60, 2))[parts] + labels[:, np.newaxis]
    given = (codes[:150], labels[:150], codes[150:], labels[150:])
    alone, grouped = (
        evaluate_codes(*given, test_groups=groups).metrics["linear_probe_accuracy"]
        for groups in (None, parts[150:])
    )
    assert grouped.n_groups == 30 and grouped.n_effective < 80
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)
    with pytest.raises(ShapeError, match="test_groups must name the group of every image"):
        evaluate_codes(*given, test_groups=parts)
