"""What the numbers of findings mean: sign, scale, order of rows, zero and constant input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from residua.evaluation.detection import detection_facts
from residua.findings import (
    find_all,
    find_broken_promise,
    find_collapsed_reconstruction,
    find_dead_latent,
    find_different_images,
    find_drift,
    find_hard_probabilities,
    find_hard_scores,
    find_high_prevalence,
    find_learnt_identity,
    find_loss_history,
    find_majority_class,
    find_misread_scale,
    find_mixed_sizes,
    find_not_better_than_baseline,
    find_not_checked,
    find_overfitting,
    find_overlap,
    find_permuted_classes,
    find_random_model,
    find_reversed_labels,
    find_shared_scores,
    find_source_changed,
    find_threshold_trade_off,
    find_tracks_complexity,
    find_underfitting,
    find_unknown_code_size,
    find_unlabelled,
    find_unlike_calibration,
    find_unlike_parts,
)
from residua.findings.kind import FindingKind, told
from residua.findings.most_confused import draw_mistakes
from residua.records import Estimate, OperatingPoint

RNG = np.random.default_rng(3)
NORMAL, ANOMALOUS = RNG.normal(size=200), RNG.normal(size=120) + 1.2
FLAGS = np.arange(320) >= 200
SCORES = np.concatenate([NORMAL, ANOMALOUS])
RISING = {"doubled": lambda x: 2 * x, "shifted": lambda x: x + 7, "cubed": lambda x: x**3}


def severity(finding) -> str | None:
    return None if finding is None else finding.severity


@pytest.mark.parametrize("change", RISING.values(), ids=RISING.keys())
def test_findings_about_ranks_do_not_change_when_scores_are_stretched(change) -> None:
    stretched = change(SCORES)
    one, two = (find_overlap(each[~FLAGS], each[FLAGS]) for each in (SCORES, stretched))
    assert one.measured["overlap"] == pytest.approx(two.measured["overlap"])
    assert severity(one) == severity(two)
    one, two = (find_drift(f(NORMAL), f(ANOMALOUS)) for f in (lambda x: x, change))
    assert one.measured["above_calibration"] == pytest.approx(two.measured["above_calibration"])
    busy = RNG.random(200)
    one, two = (find_tracks_complexity(f(busy), busy) for f in (lambda x: x, change))
    assert one.measured["rank_correlation"] == pytest.approx(two.measured["rank_correlation"])
    one, two = (find_reversed_labels(f(NORMAL), f(SCORES), FLAGS) for f in (lambda x: x, change))
    assert severity(one) == severity(two)


def test_findings_do_not_depend_on_the_order_of_rows() -> None:
    order = RNG.permutation(len(SCORES))
    point = OperatingPoint(threshold=0.8, policy="0.8", how="given")
    facts, shuffled = (
        detection_facts(flags, scores, operating_point=point)
        for flags, scores in ((FLAGS, SCORES), (FLAGS[order], SCORES[order]))
    )
    one, two = (
        {found.code: (found.severity, found.meaning) for found in find_all(each)[0]}
        for each in (facts, shuffled)
    )
    assert set(one) == set(two)
    for code in set(one) - {"overlap"}:  # its interval is drawn from the rows in their order
        assert one[code] == two[code]


def test_negated_scores_overlap_more_and_a_wider_gap_is_larger() -> None:
    right = find_overlap(NORMAL, ANOMALOUS).measured["overlap"]
    wrong = find_overlap(-NORMAL, -ANOMALOUS).measured["overlap"]
    assert 0 <= right < wrong <= 1
    near, far = (find_overlap(np.zeros(5), np.full(5, by)).measured["gap"] for by in (0.1, 0.4))
    assert far > near > 0


@pytest.mark.parametrize(
    "finding",
    [
        lambda: find_overlap(np.zeros(0), ANOMALOUS),
        lambda: find_overfitting(np.zeros(0), np.ones(3)),
        lambda: find_overfitting(np.zeros(9), np.zeros(9)),
        lambda: find_drift(np.zeros(3), np.zeros(3)),
        lambda: find_hard_scores(np.full(50, 0.3)),
        lambda: find_hard_scores(np.zeros(0)),
        lambda: find_tracks_complexity(np.ones(50), RNG.random(50)),
        lambda: find_tracks_complexity(RNG.random(50), np.ones(50)),
        lambda: find_learnt_identity(np.zeros(20), np.zeros(20), explained=0.99),
        lambda: find_loss_history(np.full(30, 0.2)),
        lambda: find_shared_scores(np.ones(50), np.ones(50)),
        lambda: find_high_prevalence(np.zeros(40), np.ones(40, bool)),
        lambda: find_reversed_labels(np.zeros(5), np.zeros(5), np.zeros(5, bool)),
        lambda: find_permuted_classes(np.zeros((2, 2), int), ["a", "b"]),
        lambda: find_dead_latent(np.zeros((3, 4))),
        lambda: find_threshold_trade_off(np.zeros(5), np.zeros(5, bool), 0.5),
        lambda: find_unlike_parts({"train": {"brightness": np.zeros(50)}}),
        lambda: find_mixed_sizes(np.full((9, 2), 32)),
        lambda: find_unknown_code_size(Estimate(value=None), {"pca_2": Estimate(value=0.1)}),
        lambda: find_not_better_than_baseline("roc_auc", Estimate(value=None), {}),
        lambda: find_unlabelled(0, 10),
        lambda: find_unlabelled(10, 10),
    ],
)
def test_nothing_is_said_of_empty_or_constant_input(finding) -> None:
    assert finding() is None


def test_a_constant_drift_is_none_and_a_lower_score_is_drift_too() -> None:
    same = find_drift(np.zeros(40), np.zeros(40))
    assert (same.severity, same.measured["above_calibration"]) == ("ok", 0.5)
    lower = find_drift(NORMAL, NORMAL - 5)
    assert lower.severity == "error"
    assert lower.measured["above_calibration"] < 0.01
    assert "score lower" in lower.meaning


def test_the_ratio_of_overfitting_has_no_unit() -> None:
    train, new = RNG.gamma(2, 1, 80), RNG.gamma(2, 2, 80)
    one, two = find_overfitting(train, new), find_overfitting(1e-6 * train, 1e-6 * new)
    assert one.measured["ratio"] == pytest.approx(two.measured["ratio"])
    assert one.severity == two.severity
    assert find_overfitting(new, train).measured["ratio"] < 1


def test_decisions_of_any_two_values_are_hard_and_three_values_are_scores() -> None:
    assert find_hard_scores(np.repeat([0.0, 1.0], 10)).severity == "error"
    assert find_hard_scores(np.repeat([-1.0, 1.0], 10)).severity == "error"
    assert find_hard_scores(np.repeat([0.2, 0.7], 10)).severity == "warning"
    assert find_hard_scores(np.repeat([0.0, 0.5, 1.0], 10)) is None
    told_backwards = find_hard_scores(np.repeat([0.0, 1.0], 10), np.repeat([True, False], 10))
    assert told_backwards.measured["balanced_accuracy"] == 0


def test_probabilities_with_any_value_between_are_no_decisions() -> None:
    hard = np.eye(3)[RNG.integers(3, size=40)]
    assert find_hard_probabilities(hard).severity == "error"
    hard[0] = 1 / 3
    assert find_hard_probabilities(hard) is None


@pytest.mark.parametrize(
    ("doubt", "share", "expected"),
    [
        (None, 0.9, "note"),
        (None, 0.5, None),
        ("assumed", 0.9, "error"),
        ("minus-one-is-normal", 0.6, "error"),
        ("minus-one-is-normal", 0.4, None),
    ],
)
def test_a_high_prevalence_is_an_error_only_where_labels_are_in_doubt(
    doubt: str | None, share: float, expected: str | None
) -> None:
    flags = np.arange(100) < 100 * share
    scores = np.where(flags, RNG.normal(0, 0.1, 100), RNG.normal(0, 1, 100))
    found = find_high_prevalence(scores, flags, doubt=doubt)
    assert severity(found) == expected
    if found:
        assert found.measured["prevalence"] == share


def test_a_random_model_is_measured_against_the_spread_of_its_scores() -> None:
    first = RNG.normal(size=100)
    little, much = (find_random_model(first, first + by) for by in (0.001, 0.5))
    assert (little.severity, much.severity) == ("warning", "error")
    assert much.measured["share"] == pytest.approx(0.5 / first.std())
    scaled = find_random_model(10 * first, 10 * first + 5)
    assert scaled.measured["share"] == pytest.approx(much.measured["share"])
    constant = find_random_model(np.zeros(5), np.zeros(5), threshold=0.5)
    assert (constant.measured["share"], constant.measured["flipped"]) == (0, 0)


def test_the_size_of_an_unknown_code_lies_between_the_sizes_that_are_beaten() -> None:
    sizes = {f"pca_{n}": Estimate(value=1 / n) for n in (2, 8, 32)} | {"pca": Estimate(value=0)}
    found = find_unknown_code_size(Estimate(value=0.06), sizes)
    assert found.measured["better_than"] == 8
    assert list(found.measured["sizes"]) == ["2", "8", "32"]
    assert find_unknown_code_size(Estimate(value=0.9), sizes).measured["better_than"] is None


def test_a_misread_scale_says_which_scales_fit_better() -> None:
    found = find_misread_scale(("0-255", "0-1"), 0.02, ("0-1", "0-1"), 0.9, n_images=32)
    assert found.severity == "error"
    assert "inputs= for 0-1" in found.what_to_do


def test_a_source_is_the_same_by_its_fingerprint_alone() -> None:
    assert find_source_changed("a", "a", n_missing=0, n_new=0) is None
    assert find_source_changed("a", "b", n_missing=0, n_new=3).measured["n_new"] == 3
    assert find_source_changed(None, "b", n_missing=0, n_new=0) is None


def test_a_source_that_has_grown_or_lost_other_images_is_noted() -> None:
    grown = find_source_changed("a", "a", n_missing=0, n_new=3)
    shrunk = find_source_changed(None, "a", n_missing=0, n_new=0, n_missing_elsewhere=1)
    assert (grown.severity, shrunk.severity) == ("note", "note")
    assert "3 images are new" in grown.meaning


def test_runs_that_share_all_test_images_get_no_finding() -> None:
    assert find_different_images(7, {"a": 7, "b": 7}) is None
    assert find_different_images(0, {"a": 7, "b": 9}).measured["n_shared"] == 0


def test_a_failed_check_keeps_the_first_line_of_its_reason() -> None:
    found = find_not_checked("masks", ValueError("one\ntwo"))
    assert found.measured["error"] == "ValueError: one"
    assert find_not_checked("masks", KeyError()).measured["error"] == "KeyError"


SEEN = {"n": 50, "height": (100, 200), "width": (100, 200), "brightness": (0.4, 0.6), "channels": 3}
IMAGE = {"height": 150, "width": 150, "brightness": 0.5, "channels": 3}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"height": 500}, ["height"]),
        ({"channels": 1}, ["channels"]),
        ({"brightness": 0.0}, ["brightness"]),
        ({"width": 209}, None),
    ],
)
def test_an_image_is_unlike_calibration_by_what_lies_outside_with_a_margin(
    change: dict, expected: list[str] | None
) -> None:
    found = find_unlike_calibration({**IMAGE, **change}, SEEN)
    assert (None if found is None else list(found.measured)) == expected


def test_a_score_is_unlike_calibration_only_out_of_all_proportion() -> None:
    for score, expected in ((1.5, None), (3.9, None), (5.0, "warning"), (-1.5, "warning")):
        found = find_unlike_calibration(IMAGE, SEEN, score=score, scores=(0.0, 1.0))
        assert severity(found) == expected


def test_a_promise_is_broken_only_where_the_interval_excludes_it() -> None:
    point = OperatingPoint(threshold=0.5, policy="recall>=0.9", how="")
    for low, high, expected in ((0.5, 0.8, "error"), (0.5, 0.95, None), (0.92, 0.99, None)):
        recall = Estimate(value=(low + high) / 2, low=low, high=high, n=50)
        assert severity(find_broken_promise(point, {"recall": recall})) == expected
    assert find_broken_promise(point, {}) is None


def test_lower_is_better_turns_the_comparison_with_baselines_round() -> None:
    model, pca = Estimate(value=0.2, low=0.19, high=0.21), {"pca": Estimate(value=0.3)}
    found = find_not_better_than_baseline("mse", model, pca, higher_is_better=False)
    assert found.severity == "note"
    assert find_not_better_than_baseline("roc_auc", model, pca).severity == "warning"


def test_a_code_of_which_nothing_changes_is_an_error_and_noise_is_not() -> None:
    assert find_dead_latent(np.ones((50, 8))).severity == "error"
    alive = find_dead_latent(RNG.normal(size=(500, 8)))
    assert alive.severity == "ok"
    assert alive.measured["n_dead"] == 0


def test_the_mean_image_explains_nothing_and_the_images_themselves_everything() -> None:
    x = RNG.random((20, 4, 4, 1))
    flat = np.broadcast_to(x.mean(axis=0), x.shape)
    assert find_collapsed_reconstruction(x, flat).measured["explained"] == pytest.approx(0)
    assert find_collapsed_reconstruction(x, x) is None


def test_underfitting_and_overfitting_are_told_apart_by_the_training_error() -> None:
    worse_than_pca = Estimate(value=0.02)
    baselines = {"pca": Estimate(value=0.01), "mean_image": Estimate(value=0.05)}
    both = (
        find_underfitting(worse_than_pca, baselines, train_error=train) for train in (0.019, 0.002)
    )
    assert [severity(found) for found in both] == ["warning", None]
    assert find_underfitting(Estimate(value=0.06), baselines).severity == "error"


def test_an_accuracy_is_compared_with_the_share_of_the_commonest_class() -> None:
    sure = Estimate(value=0.95, low=0.93, high=0.97, n=500)
    assert find_majority_class(sure, 0.5, "good").severity == "ok"
    assert find_majority_class(sure, 0.95, "good").severity == "warning"
    assert find_majority_class(Estimate(value=None), 0.5, "good") is None


def test_mistakes_are_drawn_by_pair_and_never_without_a_label() -> None:
    p = np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]])
    drawn = draw_mistakes(
        np.array([1, 0, -1]), p, ["a", "b"], lambda row: np.zeros((2, 2)), np.array(list("xyz"))
    )
    assert [group.caption for group in drawn.groups] == [
        "a, said b (1 image)",
        "b, said a (1 image)",
    ]
    assert draw_mistakes(np.array([0, 1, 1]), p, ["a", "b"], lambda row: None, None) is None


def test_the_figure_of_overfitting_and_drift_shows_both_distributions() -> None:
    facts = detection_facts(FLAGS, np.abs(SCORES), train_scores=np.abs(NORMAL) / 9)
    facts = replace(facts, calibration=np.abs(NORMAL) / 9)
    _, figures = find_all(facts)
    assert set(figures["overfitting"].histogram.counts) == {"training images", "new images"}
    assert set(figures["drift"].histogram.counts) == {"calibration", "judged"}
    assert figures["drift"].histogram.counts["judged"].sum() == 200


def test_answers_are_a_finding_alone_with_a_figure_or_several() -> None:
    found = find_unlabelled(1, 2)
    assert told(None) == []
    assert told(found) == [(found, None)]
    assert told([found, None, (None, "figure"), (found, "figure")]) == [
        (found, None),
        (found, "figure"),
    ]
    assert FindingKind("two-words", "", find_unlabelled).check == "two words"
