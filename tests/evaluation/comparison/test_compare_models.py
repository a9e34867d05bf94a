"""Paired comparison of models on the same images: known answers, what is refused, and whether the
level is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from residua.errors import InputError, LabelError
from residua.evaluation import Evidence
from residua.evaluation.comparison import Contestant, compare_models
from residua.evaluation.comparison.compare import common_rows
from residua.evaluation.paired import (
    exchanged_signs,
    paired_average_precision,
    paired_means,
    paired_roc_auc,
    paired_shares,
)
from residua.metrics import roc_auc
from residua.metrics.groups import Groups
from residua.metrics.precision_intervals import precision_at_area
from residua.records import Evaluation


def hashes(n: int, start: int = 0) -> np.ndarray:
    return np.array([f"{index:06d}" for index in range(start, start + n)])


def classifier(
    name: str, right: np.ndarray, *, ids: np.ndarray | None = None, labels=None, **columns
) -> Contestant:
    n = len(right)
    evidence = Evidence(
        paths=hashes(n),
        labels=np.zeros(n, int).astype(str) if labels is None else labels,
        pixel_hashes=hashes(n) if ids is None else ids,
        per_image={"right": right.astype(float), **columns},
    )
    return Contestant(name, Evaluation(job="classify", n_images=n, split="test"), evidence)


def detector(name: str, scores: np.ndarray, flags: np.ndarray) -> Contestant:
    evidence = Evidence(
        paths=hashes(len(scores)),
        scores=scores,
        is_anomalous=flags,
        pixel_hashes=hashes(len(scores)),
    )
    return Contestant(name, Evaluation(job="detect", n_images=len(scores), split="test"), evidence)


def first_right(n: int, total: int = 1000) -> np.ndarray:
    return np.arange(total) < n


def test_a_difference_that_the_images_show_names_the_better_model_in_points():
    found = compare_models(
        [classifier("plain", first_right(900)), classifier("joint", first_right(940))]
    )
    pair = found.pairs[0]
    assert pair.better == "joint"
    assert pair.difference.value == pytest.approx(-0.04)
    assert found.sentence.startswith("joint beats plain by 4.0 points of accuracy [2.8, 5.")
    assert found.sentence.endswith("on 1,000 test images.")


def test_the_p_value_of_accuracies_is_mcnemars_exact_one():
    rng = np.random.default_rng(0)
    a, b = rng.random(500) < 0.8, rng.random(500) < 0.85
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    assert paired_shares(a, b, confidence=0.95).p_value == pytest.approx(
        binomtest(only_a, only_a + only_b).pvalue
    )


def test_no_difference_is_said_where_none_can_be_shown():
    rng = np.random.default_rng(1)
    found = compare_models(
        [classifier("a", rng.random(300) < 0.9), classifier("b", rng.random(300) < 0.9)]
    )
    assert found.pairs[0].better is None
    assert found.sentence.startswith(
        "No difference between a and b can be shown: the first less the second is "
    )


def test_a_model_beside_its_copy_differs_in_nothing():
    found = compare_models([classifier("a", first_right(900)), classifier("b", first_right(900))])
    assert found.pairs[0].difference.value == 0
    assert found.pairs[0].p_value == 1
    assert found.pairs[0].better is None


def test_the_same_scores_differ_by_nothing_in_few_digits():
    flags, scores = np.arange(40) < 20, np.random.default_rng(0).random(40)
    found = compare_models([detector("a", scores, flags), detector("b", scores, flags)])
    assert "the first less the second is 0.000 of ROC AUC" in found.sentence


def test_two_models_of_one_quality_are_told_apart_as_seldom_as_promised():
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(60):
        hard = rng.random(300) < 0.2
        a, b = (np.where(hard, rng.random(300) < 0.5, True) for _ in range(2))
        wrong += (
            compare_models([classifier("a", a), classifier("b", b)]).pairs[0].better is not None
        )
    assert wrong <= 8  # 5% of 60, and what chance adds


def test_images_are_matched_by_their_pixels_whatever_their_order():
    right = np.arange(100) % 7 != 0
    turned = classifier("b", right[::-1], ids=hashes(100)[::-1])
    found = compare_models([classifier("a", right), turned])
    assert found.pairs[0].difference.value == 0
    assert found.findings == ()


def test_different_test_images_are_intersected_and_said():
    found = compare_models(
        [
            classifier("a", first_right(80, 100)),
            classifier("b", first_right(90, 100), ids=hashes(100, 40)),
        ]
    )
    assert found.n_images == 60
    assert found.findings[0].code == "different-test-images"
    assert found.findings[0].measured["n_own"] == {"a": 100, "b": 100}


def test_an_image_that_occurs_twice_is_matched_as_often_as_it_occurs_in_both():
    rows = common_rows([np.array(["a", "a", "b"]), np.array(["a", "b", "a", "a"])])
    assert [one.tolist() for one in rows] == [[0, 1, 2], [0, 2, 1]]


def test_runs_without_a_common_image_are_refused():
    with pytest.raises(InputError, match="test images in common"):
        compare_models(
            [
                classifier("a", first_right(9, 10)),
                classifier("b", first_right(9, 10), ids=hashes(10, 500)),
            ]
        )


def test_what_cannot_be_compared_is_refused_with_all_reasons():
    one = classifier("a", first_right(9, 10))
    with pytest.raises(InputError, match=r"at least two runs"):
        compare_models([one])
    with pytest.raises(InputError, match="the runs must differ"):
        compare_models([one, one])
    flags = np.arange(10) % 2 == 0
    with pytest.raises(InputError, match=r"of one job. Got a \(classify\), b \(detect\)"):
        compare_models([one, detector("b", np.arange(10.0), flags)])
    with pytest.raises(LabelError, match="same labels"):
        compare_models([one, classifier("b", first_right(9, 10), labels=np.array(["7"] * 10))])
    with pytest.raises(InputError, match="Run `residua evaluate` again"):
        compare_models([one, Contestant("b", one.evaluation, Evidence(paths=hashes(10)))])


def test_several_runs_hold_together_by_widening_and_the_sentence_lists_who_beats_whom():
    models = [classifier(name, first_right(n)) for name, n in (("a", 960), ("b", 900), ("c", 901))]
    found = compare_models(models)
    assert found.n_pairs == 3
    assert found.correction == "Bonferroni over 3 pairs, metric by metric"
    alone = compare_models(models[:2]).pairs[0]
    together = next(pair for pair in found.pairs if (pair.a, pair.b) == ("a", "b"))
    assert together.p_adjusted == pytest.approx(min(1, 3 * alone.p_value))
    assert together.difference.low < alone.difference.low
    assert (
        found.sentence
        == "a beats b and c on 1,000 test images; between the other pair no difference can be"
        " shown."
    )


def test_log_loss_and_reconstruction_are_compared_where_all_have_them():
    rng = np.random.default_rng(3)
    losses, errors = rng.random(200), rng.random(200)
    a = classifier("a", first_right(180, 200), log_loss=losses, mse=errors)
    b = classifier("b", first_right(180, 200), log_loss=losses + 0.1 + 0.01 * rng.random(200))
    found = compare_models([a, b])
    assert {pair.metric for pair in found.pairs} == {"accuracy", "log_loss"}
    loss = next(pair for pair in found.pairs if pair.metric == "log_loss")
    assert loss.better == "a"  # lower is better
    assert loss.sentence.startswith("a is lower than b by 0.1")


def test_detectors_are_compared_by_their_areas_on_the_same_images():
    rng = np.random.default_rng(4)
    flags = np.arange(400) % 4 == 0
    base = rng.normal(size=400)
    good, poor = base + 2.5 * flags, base + 0.5 * flags + rng.normal(size=400)
    found = compare_models([detector("good", good, flags), detector("poor", poor, flags)])
    area = found.pairs[0]
    assert area.metric == "roc_auc"
    assert area.better == "good"
    assert area.difference.value == pytest.approx(roc_auc(flags, good) - roc_auc(flags, poor))
    assert {pair.metric for pair in found.pairs} == {"roc_auc", "average_precision"}


def test_paired_tests_of_equal_columns_have_a_p_value_of_one_or_none():
    values, flags = np.arange(50.0), np.arange(50) % 2 == 0
    assert paired_means(values, values, confidence=0.95).p_value == 1
    assert paired_roc_auc(flags, values, values, confidence=0.95).p_value is None
    assert paired_average_precision(flags, values, values, confidence=0.95).difference.value == 0


def test_unlabelled_images_take_no_part():
    right = first_right(90, 100).astype(float)
    right[:10] = np.nan
    found = compare_models([classifier("a", right), classifier("b", right)])
    assert found.n_images == 90


def in_groups(model: Contestant, groups: np.ndarray) -> Contestant:
    return replace(model, evidence=replace(model.evidence, groups=groups))


def test_groups_are_counted_in_the_sentence_and_widen_the_interval():
    rng = np.random.default_rng(5)
    parts = np.repeat(np.arange(40), 5).astype(str)
    better = np.repeat(rng.random(40) < 0.35, 5)  # whole parts are right for the second alone
    first, second = classifier("a", ~better), classifier("b", np.ones(200, bool))
    alone = compare_models([first, second])
    found = compare_models([in_groups(first, parts), in_groups(second, parts)])
    assert found.n_groups == 40
    assert found.sentence.endswith("on 200 test images of 40 groups.")
    assert alone.n_groups is None
    pair = found.pairs[0]
    assert pair.difference.n_groups == 40
    assert pair.difference.low < alone.pairs[0].difference.low
    assert pair.p_value > alone.pairs[0].p_value
    assert found.standings[0].metrics["accuracy"].n_groups == 40


def test_signs_are_exchanged_for_whole_groups():
    assert exchanged_signs(np.array([4, 3, 2])) == pytest.approx(2 / 8)  # all one way, or the other
    assert exchanged_signs(np.array([1] * 12 + [-1] * 3)) == pytest.approx(binomtest(12, 15).pvalue)
    many = exchanged_signs(np.full(20_000, 7))
    assert many == 0


def test_models_that_know_no_groups_take_those_of_the_others():
    parts = np.repeat(np.arange(20), 5).astype(str)
    first, second = classifier("a", first_right(80, 100)), classifier("b", first_right(90, 100))
    assert compare_models([first, in_groups(second, parts)]).n_groups == 20
    with pytest.raises(InputError, match="the same groups on the images they share"):
        compare_models(
            [in_groups(first, parts[::-1].copy()[np.r_[1:100, 0]]), in_groups(second, parts)]
        )


def test_few_groups_show_no_difference_and_say_why():
    parts = np.repeat(np.arange(4), 25)
    first, second = (
        in_groups(classifier(n, first_right(k, 100)), parts) for n, k in (("a", 50), ("b", 90))
    )
    found = compare_models([first, second])
    assert found.pairs[0].better is None
    assert "No interval: 4 groups" in found.sentence


@pytest.mark.parametrize("size", [1, 6])
def test_detectors_of_one_quality_are_told_apart_as_seldom_as_promised(size):
    """Average precision at 40 images, where a bootstrap of the difference errs in a tenth."""
    rng, wrong, n_parts = np.random.default_rng(6), 0, 40
    parts = np.repeat(np.arange(n_parts), size)
    flags = np.repeat(np.arange(n_parts) < 10, size)
    groups = None if size == 1 else Groups(parts)
    for _ in range(100):
        hard = 0.7 * rng.normal(size=n_parts)[parts] + 1.5 * flags
        a, b = (
            hard + rng.normal(size=n_parts)[parts] + 0.3 * rng.normal(size=len(parts))
            for _ in range(2)
        )
        found = paired_average_precision(flags, a, b, confidence=0.95, groups=groups)
        wrong += found.p_value < 0.05 and (found.difference.low > 0 or found.difference.high < 0)
    assert wrong <= 8


def test_the_test_of_areas_agrees_with_its_interval_by_groups():
    rng = np.random.default_rng(7)
    parts, flags = np.repeat(np.arange(30), 4), np.arange(120) % 4 == 0
    a = rng.normal(size=120) + 2 * flags
    b = rng.normal(size=120) + 0.4 * flags
    for confidence in (0.5, 0.9, 0.99, 0.9999):
        found = paired_roc_auc(flags, a, b, confidence=confidence, groups=Groups(parts))
        assert (found.difference.low > 0) == (found.p_value < 1 - confidence)


def test_intervals_of_precisions_hold_a_difference_in_small_sets():
    """Symmetric ones cover 88% of the time here."""
    rng, held = np.random.default_rng(8), 0
    flags = np.arange(40) < 20
    truth = precision_at_area(0.9, 0.5) - precision_at_area(0.8, 0.5)
    for _ in range(60):
        hard = rng.normal(size=40)
        a, b = (0.84 * hard + 0.55 * rng.normal(size=40) + s * flags for s in (1.812, 1.19))
        found = paired_average_precision(flags, a, b, confidence=0.95).difference
        held += found.low <= truth <= found.high
    assert held >= 55
