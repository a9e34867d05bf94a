"""Findings about images and about scores of new images: made where the fault is, silent where it is
not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from residua.findings import (
    FINDINGS,
    JudgedFacts,
    find_all,
    find_blind_spots,
    find_class_balance,
    find_constant_images,
    find_dead_latent,
    find_drift,
    find_duplicates,
    find_leakage,
    find_learnt_identity,
    find_mixed_scale,
    find_mixed_sizes,
    find_shortcut,
    find_test_reused,
    find_tracks_complexity,
    find_underfitting,
    find_unlike_parts,
    find_unreadable_files,
)
from residua.findings.blind_spots import GROSS, PERTURBATIONS, _perturbed
from residua.images.channels import with_channels
from residua.images.duplicates import Leaks, exact_leaks
from residua.records import Estimate

RNG = np.random.default_rng(0)
PATHS = np.array([f"{i}.png" for i in range(100)], object)


def test_copies_within_a_part_are_a_note_many_or_contradicting_ones_a_warning() -> None:
    find = find_duplicates
    assert find([], PATHS) is None
    few = find([np.array([0, 5, 7])], PATHS)
    assert (few.severity, few.measured["n_extra"]) == ("note", 2)
    assert find([np.arange(20)], PATHS).severity == "warning"
    labels = np.array([None, "b"] * 50, object)
    assert (
        find([np.array([0, 1])], PATHS, labels).severity == "note"
    )  # an image without a label contradicts none
    labels[0] = "a"
    told = find([np.array([0, 1])], PATHS, labels)
    assert (told.severity, told.measured["n_two_labels"], told.measured["examples"][0]) == (
        "warning",
        1,
        ["0.png", "1.png"],
    )
    labels[2] = "a"
    three = find([np.array([0, 2, 1])], PATHS, labels)
    assert (
        "two labels: 0.png is 'a' and 1.png is 'b'" in three.meaning
    )  # not 0.png and 2.png, which agree


@pytest.mark.parametrize(("n", "severity"), [(1, "warning"), (5, "warning"), (6, "error")])
def test_more_than_one_unreadable_file_in_twenty_is_an_error(n: int, severity: str) -> None:
    told = find_unreadable_files([(f"{i}.png", "broken") for i in range(n)], 100 - n)
    assert told.severity == severity


@pytest.mark.parametrize(
    ("highest", "dtype", "case"),
    [
        (np.full(50, 1 / 255), "uint8", "only 0 and 1"),
        (np.full(50, 1 / 255), "float32", "all too small"),
        (np.full(50, 255 / 65535), "float32", "all too small"),
        (np.full(50, 4095 / 65535), "float32", "fewer bits"),
        (np.full(50, 15 / 255), "uint8", "fewer bits"),
        (np.r_[np.full(45, 0.9), np.full(5, 0.9 / 255)], "float32", "some too small"),
        (np.r_[np.full(45, 1.0), np.full(5, 1 / 255)], "uint8", "some too small"),
    ],
)
def test_a_wrong_scale_is_told_by_its_case(highest, dtype, case) -> None:
    told = find_mixed_scale(highest, dtype)
    assert (told.measured["case"], told.severity) == (case, "error")


@pytest.mark.parametrize(
    ("n", "severity"), [(1, "note"), (2, "note"), (3, "warning"), (20, "warning"), (21, "error")]
)
def test_images_that_show_nothing_are_told_by_their_share(n: int, severity: str) -> None:
    ranges, paths = np.full(200, 0.3), np.array([f"{i}.png" for i in range(200)], object)
    assert find_constant_images(ranges, paths) is None
    ranges[:n] = 0
    labels = np.array(["good", "bad"] * 100, object)
    told = find_constant_images(ranges, paths, labels, levels=np.zeros(200))
    assert (told.severity, told.measured["n_constant"], told.measured["n_black"]) == (
        severity,
        n,
        n,
    )
    labels[:n] = "crack"
    assert find_constant_images(ranges, paths, labels).severity == "error"


def test_exposures_that_differ_are_no_other_scale() -> None:
    assert find_mixed_scale(np.geomspace(0.05, 1, 100), "float32") is None
    assert find_mixed_scale(np.zeros(100), "uint8") is None


def test_one_dark_frame_is_a_warning_and_a_dark_part_is_named() -> None:
    highest = np.full(200, 0.9)
    highest[150] /= 255
    parts = np.array(["train"] * 150 + ["test"] * 50, object)
    assert find_mixed_scale(highest, "uint8", parts=parts).severity == "warning"
    highest[150:] = 0.9 / 255
    told = find_mixed_scale(highest, "float32", parts=parts)
    assert told.severity == "error"
    assert "100% of test" in told.meaning


def test_sizes_and_proportions() -> None:
    find = find_mixed_sizes
    assert find(np.zeros((0, 2))) is None
    assert find(np.full((9, 2), 64)) is None
    assert find(np.array([[64, 64], [128, 128]])).severity == "note"
    assert find(np.array([[64, 64], [64, 128]] * 5)).severity == "warning"


def test_what_a_part_lacks() -> None:
    find = find_class_balance
    assert find({"train": {"good": 50}, "test": {"good": 9, "crack": 5}}, normal=("good",)) is None
    assert find({"train": {"good": 50}}, normal=("good",)) is None
    lacks = {"train": {"a": 9, "b": 9}, "test": {"a": 9, "C": 3}}
    assert find(lacks).measured["lacking"] == [
        "train holds no image of 'C'",
        "test holds no image of 'b'",
    ]
    assert "'C'" in find(lacks).meaning
    assert (
        find({"train": {"good": 5, "bad": 5}, "test": {"bad": 5}}, normal=("good",)).severity
        == "warning"
    )
    assert find({"train": {"a": 500, "b": 20}, "test": {"a": 50, "b": 2}}).severity == "note"


def test_how_a_file_was_made_must_not_tell_the_label_and_its_brightness_may_a_little() -> None:
    labels = np.arange(300) < 60
    noise = {
        name: RNG.normal(size=300)
        for name in ("brightness", "contrast", "sharpness", "file_size", "compression")
    }
    find = find_shortcut
    assert find(noise, labels) is None
    assert (
        find({**noise, "compression": noise["compression"] - 2 * labels}, labels).severity
        == "error"
    )
    assert find({**noise, "width": noise["brightness"] - 1.5 * labels}, labels).severity == "error"
    assert (
        find({**noise, "file_size": noise["file_size"] - 1.5 * labels}, labels).severity == "note"
    )  # a busy image takes more
    assert (
        find({**noise, "brightness": noise["brightness"] + 1.5 * labels}, labels).severity == "note"
    )
    for name, by, severity in (
        ("brightness", 3, "warning"),
        ("brightness", -3, "warning"),  # darker tells as much
        ("contrast", 3, "warning"),
        ("sharpness", 2.5, "note"),  # what an image shows moves it more
        ("sharpness", 4, "warning"),
    ):
        assert find({**noise, name: noise[name] + by * labels}, labels).severity == severity
    told = find(
        {**noise, "brightness": noise["brightness"] + labels}, labels, model=Estimate(value=0.7)
    )
    assert (told.severity, told.measured["feature"]) == ("warning", "brightness")
    assert find(noise, np.zeros(300, bool)) is None


def test_shortcuts_are_seldom_seen_in_noise() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(60) < 20
    accused = [
        find_shortcut({str(i): rng.normal(size=60) for i in range(8)}, labels) for _ in range(100)
    ]
    assert sum(one is not None for one in accused) <= 1


def test_parts_are_unlike_where_they_differ_by_more_than_chance() -> None:
    find = find_unlike_parts
    rng = np.random.default_rng(2)

    def parts(shift: float, n: int = 200) -> dict[str, dict[str, np.ndarray]]:
        shifts = {"train": 0.0, "calibration": 0.0, "test": shift}
        return {
            name: {"brightness": rng.normal(size=n) + by, "contrast": rng.normal(size=n)}
            for name, by in shifts.items()
        }

    assert all(find(parts(0)) is None for _ in range(50))
    assert all(find(parts(0, n=10)) is None for _ in range(50))
    assert find(parts(1)).severity == "warning"
    told = find(parts(3))
    assert (told.severity, told.measured["feature"]) == ("error", "brightness")
    assert "test" in told.measured["parts"]


@pytest.mark.parametrize(("shift", "are_normal", "severity"), [
    (0, True, "ok"), (0.7, True, "warning"), (2, True, "error"), (0.7, False, "ok"), (2, False,
    "error"), (-2, False, "error"),
    (-0.7, True, "warning"),
])  # fmt: skip
def test_drift_needs_more_where_anomalies_may_be_among_the_new_images(
    shift, are_normal, severity
) -> None:
    rng = np.random.default_rng(3)
    told = find_drift(
        rng.normal(size=300), rng.normal(size=400) + shift, threshold=1.6, are_normal=are_normal
    )
    assert told.severity == severity
    assert told.measured["flagged_of_calibration"] == pytest.approx(0.05, abs=0.04)


def test_a_fifth_of_anomalies_is_no_drift_and_few_scores_say_nothing() -> None:
    rng = np.random.default_rng(4)
    new = np.r_[rng.normal(size=400), rng.normal(size=100) + 6]
    assert find_drift(rng.normal(size=300), new).severity == "ok"
    assert find_drift(rng.normal(size=19), new) is None


def test_images_that_chose_the_threshold_are_told_by_their_hashes() -> None:
    hashes = np.array([f"{i:x}" for i in range(100)], object)
    find = find_test_reused
    assert find(hashes[:50], hashes[50:], PATHS[50:]) is None
    assert find(hashes[:51], hashes[50:], PATHS[50:]).severity == "error"
    assert find(hashes[:1], hashes, PATHS).severity == "warning"


@pytest.mark.parametrize(("change", "severity"), [("dimmed", "note"), ("snow", "warning")])
def test_a_blind_spot_is_a_warning_only_where_nobody_could_overlook_the_change(
    change: str, severity: str
) -> None:
    find = find_blind_spots
    scores = {change: np.r_[np.zeros(30), np.ones(10)], "noise": np.ones(40)}
    told = find(scores, 0.5, np.zeros(40))
    assert (told.severity, told.measured["blind"]) == (severity, [change])
    assert told.measured["caught"][change]["value"] == 0.25
    assert (
        find({name: one[28:32] for name, one in scores.items()}, 0.5, np.zeros(4)).severity
        == "note"
    )
    assert find({}, 0.5, np.zeros(4)) is None


@pytest.mark.parametrize("name", [*PERTURBATIONS, *GROSS])
def test_repeated_grey_is_changed_as_its_copy_is(name: str) -> None:
    grey = [RNG.integers(0, 256, (30, 40, 1)).astype(np.uint8) for _ in range(3)]
    views = [with_channels(one, 3) for one in grey]
    change = (PERTURBATIONS | GROSS)[name]
    made = [
        _perturbed(some, change, np.random.default_rng(0), np.dtype(np.uint8))
        for some in (views, [one.copy() for one in views])
    ]
    assert np.array_equal(*made)


def test_a_blur_is_gaussian_and_repeats_the_edges() -> None:
    image = RNG.random((60, 90, 3)).astype(np.float32)
    width = 90 / 28
    expected = gaussian_filter(image, (width, width, 0), mode="nearest")
    blurred = PERTURBATIONS["blurred"](image, RNG, image)
    assert blurred.dtype == np.float32
    np.testing.assert_allclose(blurred, expected, atol=1e-6)


def test_a_network_worse_than_pca_or_the_mean_image_underfits_unless_it_overfits() -> None:
    find = find_underfitting
    baselines = {"pca": Estimate(value=0.01), "mean_image": Estimate(value=0.05)}
    assert find(Estimate(value=0.06), baselines).severity == "error"
    assert (
        find(Estimate(value=0.02, low=0.018, high=0.022), baselines, train_error=0.019).severity
        == "warning"
    )
    assert find(Estimate(value=0.011, low=0.009, high=0.013), baselines).severity == "ok"
    assert find(Estimate(value=0.02), baselines, train_error=0.002) is None
    assert find(Estimate(value=None), baselines) is None
    assert find(Estimate(value=0.02), {}) is None


def test_dead_dimensions_are_counted_and_a_constant_code_has_collapsed() -> None:
    find = find_dead_latent
    codes = RNG.normal(size=(100, 8))
    assert find(codes).severity == "ok"
    assert find(codes).measured["effective"] > 6
    codes[:, 3:] *= 1e-4
    assert (find(codes).severity, find(codes).measured["n_dead"]) == ("warning", 5)
    assert find(np.ones((100, 8))).severity == "error"
    assert find(codes[:5]) is None


def test_a_copied_input_is_told_only_of_a_model_that_reconstructs_well() -> None:
    find = find_learnt_identity
    normal, anomalous = RNG.gamma(4, 1, 200), RNG.gamma(4, 1, 60)
    assert find(normal, anomalous, explained=0.99).severity == "warning"
    assert find(normal, anomalous, explained=0.5) is None
    assert find(normal, 2 * anomalous, explained=0.99) is None
    assert find(normal, anomalous[:5], explained=0.99) is None


def test_a_score_that_is_the_complexity_is_told_and_one_that_shares_some_of_it_is_not() -> None:
    busy = RNG.random(200)
    find = find_tracks_complexity
    assert find(busy**2, busy).severity == "warning"
    assert find(busy + RNG.random(200), busy) is None
    assert find(-busy, busy) is None
    assert find(busy[:10], busy[:10]) is None


def test_scores_that_only_spread_are_drift_where_images_are_known_to_be_normal() -> None:
    rng = np.random.default_rng(1)
    calibration, same, spread = (
        rng.normal(size=400),
        rng.normal(size=400),
        2.5 * rng.normal(size=400),
    )
    assert find_drift(calibration, same, are_normal=True).severity == "ok"
    told = find_drift(calibration, spread, are_normal=True)
    assert (told.severity, "spread differently" in told.meaning) == ("warning", True)
    assert (
        find_drift(calibration, spread).severity == "ok"
    )  # anomalies among them would spread scores too


def _leaks(n_leaked: int, n: int) -> Leaks:
    names = np.array([f"{row}.png" for row in range(n)], object)
    return exact_leaks(names[:n_leaked], names, names)


@pytest.mark.parametrize(
    ("n_leaked", "n", "severity"),
    [
        (0, 180, "ok"),
        (1, 400, "note"),
        (2, 180, "warning"),
        (9, 200, "warning"),
        (10, 200, "error"),
    ],
)
def test_a_leak_is_as_serious_as_its_share(n_leaked: int, n: int, severity: str) -> None:
    assert find_leakage(_leaks(n_leaked, n)).severity == severity


@pytest.mark.parametrize(
    ("metric", "value", "without", "severity"),
    [
        ("roc_auc", 0.90, 0.899, "note"),
        ("roc_auc", 0.90, 0.893, "warning"),
        ("roc_auc", 0.90, 0.87, "error"),
        ("roc_auc", 0.90, None, "error"),
        ("mse", 0.004, 0.00399, "note"),
        ("mse", 0.004, 0.0041, "warning"),
        ("mse", 0.004, 0.005, "error"),
    ],
)
def test_a_leak_is_as_serious_as_what_it_does_to_the_figure(
    metric: str, value: float, without: float | None, severity: str
) -> None:
    found = find_leakage(
        _leaks(1, 400),
        metrics={metric: Estimate(value=value)},
        without={metric: Estimate(value=without)},
    )
    assert found.severity == severity


@pytest.mark.parametrize(("n_pictures", "severity"), [(1, "warning"), (2, "warning"), (3, "error")])
def test_a_picture_with_two_labels_is_a_warning_and_many_are_an_error(
    n_pictures: int, severity: str
) -> None:
    paths = np.array([f"{row}.png" for row in range(100)], object)
    labels = np.array(["good"] * 50 + ["bad"] * 50, object)
    found = find_duplicates([np.array([row, 99 - row]) for row in range(n_pictures)], paths, labels)
    assert (found.severity, found.measured["n_two_labels"]) == (severity, n_pictures)
    same = find_duplicates(
        [np.array([row, row + 1]) for row in range(0, 2 * n_pictures, 2)], paths, labels
    )
    assert same.severity == "note"


def test_copies_in_one_named_group_do_not_count_twice() -> None:
    paths = np.array([f"{row}.png" for row in range(100)], object)
    labels = np.array(["good"] * 99 + ["bad"], object)
    named = np.array([row // 2 for row in range(100)], object)
    assert find_duplicates([np.array([0, 1])], paths, labels, named=named) is None
    torn = find_duplicates([np.array([98, 99])], paths, labels, part="test", named=named)
    assert torn.meaning.startswith("1 picture of test carries two labels: ")
    assert (torn.what_to_do, torn.measured["n_extra"]) == ("Settle the labels.", 0)
    apart = find_duplicates([np.array([0, 1]), np.array([1, 2])], paths, labels, named=named)
    assert apart.measured["n_extra"] == 1
    assert "--groups" not in apart.what_to_do  # they have groups


def test_what_a_shortcut_says_the_baselines_do_not_say_again() -> None:
    rng, flags = np.random.default_rng(5), np.arange(300) < 100
    light = rng.normal(size=300) + 3 * flags
    alone = {"brightness": {"roc_auc": Estimate(value=0.98)}}
    facts = JudgedFacts(
        job="detect",
        metrics={"roc_auc": Estimate(value=0.9, low=0.85, high=0.93)},
        baselines={**alone, "pca": {"roc_auc": Estimate(value=0.92)}},
        labelled=np.ones(300, bool),
        is_anomalous=flags,
    )
    kinds = [kind for kind in FINDINGS if kind.code in ("not-better-than-baseline", "shortcut")]
    (told,), _ = find_all(facts, kinds)
    assert told.measured["baseline"] == "brightness"
    baseline, shortcut = find_all(replace(facts, features={"brightness": light}), kinds)[0]
    assert (baseline.measured["baseline"], shortcut.measured["feature"]) == ("pca", "brightness")
    assert shortcut.severity == "warning"
