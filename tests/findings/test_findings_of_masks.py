"""Findings of masks, on numbers alone."""

from __future__ import annotations

import numpy as np
import pytest

from residua.findings import (
    find_empty_masks,
    find_small_defects,
    find_suspicious_masks,
    find_torn_groups,
)
from residua.images.resize import say_narrowest
from residua.records import Estimate

RNG = np.random.default_rng(0)
SMALL = np.full(20, 0.02)
CHANCE, CLEAR = RNG.normal(0, 0.1, 20), RNG.normal(0.4, 0.1, 20)


@pytest.mark.parametrize(
    ("n_empty", "severity"), [(0, None), (4, "note"), (6, "warning"), (51, "error"), (100, "error")]
)
def test_empty_masks_weigh_as_much_as_there_are_of_them(n_empty, severity):
    shares = np.array([0.0] * n_empty + [0.3] * (100 - n_empty))
    told = find_empty_masks(shares, [f"{row}.png" for row in range(100)])
    assert (told and told.severity) == severity
    if told:
        assert (
            told.measured["n_empty"],
            told.measured["n_masks"],
            told.measured["examples"][0],
        ) == (n_empty, 100, "0.png")


@pytest.mark.parametrize(
    ("n_narrow", "network", "severity"),
    [
        (0, 256, None),
        (10, 256, "note"),
        (11, 256, "warning"),
        (100, 1024, None),
        (100, 512, "warning"),
    ],
)
def test_defects_are_narrow_by_what_the_network_sees(n_narrow, network, severity):
    widths = np.array([4.0] * n_narrow + [40.0] * (100 - n_narrow))
    told = find_small_defects(widths, np.full((100, 2), 1024), (network, network))
    assert (told and told.severity) == severity
    if told:
        assert told.measured["n_narrow"] == n_narrow
        assert told.measured["smallest"] == 4 * network / 1024
        assert f"at the {network} px (longer side) that the network sees" in told.meaning


def test_the_size_that_is_advised_shows_nine_in_ten_defects():
    widths, sizes = np.array([6.0] * 50), np.full((50, 2), 1000)
    told = find_small_defects(widths, sizes, (250, 250))
    advised = told.measured["advised_size"]
    assert f"--size {advised}" in told.what_to_do
    assert find_small_defects(widths, sizes, (advised, advised)) is None
    tiled = find_small_defects(widths, sizes, (250, 250), is_tiled=True)
    assert "more tiles" in tiled.what_to_do and "--tiles auto" not in tiled.what_to_do
    hopeless = find_small_defects(np.array([0.5] * 50), sizes, (250, 250))
    assert hopeless.measured["advised_size"] == 1000  # images hold no more


def test_narrow_defects_on_images_that_are_not_shrunk_are_a_note():
    told = find_small_defects(np.array([1.0] * 9), np.full((9, 2), 28), (28, 28))
    assert told.severity == "note"
    assert "as stored" in told.meaning and "--size" not in told.what_to_do


def test_enlarging_shows_no_more_of_a_narrow_defect():
    widths, sizes = np.array([1.0] * 8 + [2.0] * 7), np.full((15, 2), 100)
    told = find_small_defects(widths, sizes, (256, 256))
    assert (told.measured["n_narrow"], told.measured["smallest"]) == (15, 1.0)
    assert told.severity == "note" and "as stored; the narrowest is 1 px" in told.meaning
    assert "3 px wide there" not in say_narrowest(sizes, (256, 256))


def test_masks_that_stand_out_are_not_accused():
    readings = {"those of the next image": CHANCE, "mirrored left to right": CLEAR * 0.9}
    assert (
        find_suspicious_masks(SMALL, CLEAR, unmarked=-CLEAR / 50, borders=SMALL, readings=readings)
        is None
    )


def test_faint_defects_are_not_accused():
    assert (
        find_suspicious_masks(
            SMALL, CHANCE, readings={"those of the next image": RNG.normal(0, 0.1, 20)}
        )
        is None
    )


def test_another_reading_that_fits_far_better_is_an_error_that_names_it():
    told = find_suspicious_masks(
        SMALL, CHANCE, readings={"those of the next image": CLEAR, "turned by 90 degrees": CHANCE}
    )
    assert told.severity == "error"
    assert (
        f"would stand out by {CLEAR.mean():.2f} if the masks were those of the next image"
        in told.meaning
    )
    assert told.measured["stands_out"] == pytest.approx(CHANCE.mean())


def test_a_sure_but_tiny_advantage_is_no_reason():
    assert (
        find_suspicious_masks(SMALL, CHANCE * 0, readings={"those of the next image": CLEAR / 8})
        is None
    )


def test_four_masks_are_too_few_to_say():
    assert (
        find_suspicious_masks(
            SMALL[:4], CHANCE[:4], readings={"those of the next image": CLEAR[:4]}
        )
        is None
    )


@pytest.mark.parametrize(("share", "unmarked", "border", "severity"), [
    (0.97, CLEAR, 1.0, "error"),  # what is left out stands out
    (0.55, CLEAR, 0.3, "error"),
    (0.9, CHANCE, 0.95, "warning"),  # faint, but hardly anything is left out
    (0.73, CHANCE, 0.5, None),  # large and right
    (0.9, -CLEAR, 0.6, None),
    (0.02, CLEAR, 1.0, None),  # small masks are not inverted, whatever stands out
    (1.0, np.full(20, np.nan), 1.0, None),  # whole images are marked
])  # fmt: skip
def test_masks_look_inverted_where_they_are_large_and_the_rest_stands_out(
    share, unmarked, border, severity
):
    told = find_suspicious_masks(
        np.full(20, share), CHANCE, unmarked=unmarked, borders=np.full(20, border)
    )
    assert (told and told.severity) == severity
    if told:
        assert "inverted" in told.meaning


def test_marked_normal_images_are_a_warning():
    told = find_suspicious_masks(SMALL, CLEAR, n_normal_marked=2)
    assert told.severity == "warning"
    assert told.meaning.startswith("2 normal images have masks that mark something")


@pytest.mark.parametrize(
    ("images", "pixels", "said"),
    [(0.97, 0.57, True), (0.97, 0.98, False), (0.8, 0.57, False), (0.97, None, False)],
)
def test_a_model_that_finds_images_and_no_marked_pixel_is_a_warning(images, pixels, said):
    metrics = {"roc_auc": Estimate(value=images), "pixel_roc_auc": Estimate(value=pixels)}
    told = find_suspicious_masks(SMALL, CHANCE, metrics=metrics)
    assert (told is not None) == said
    if told:
        assert told.severity == "warning"
        assert "(ROC AUC 0.970)" in told.meaning


@pytest.mark.parametrize(
    ("n_torn", "severity"), [(1, "warning"), (11, "warning"), (12, "error"), (112, "error")]
)
def test_torn_groups_weigh_as_much_as_the_test_images_they_concern(n_torn, severity):
    groups = np.array(
        [f"item {row}" for row in range(n_torn)] + [f"item {row}" for row in range(115)], object
    )
    told = find_torn_groups(groups, np.array(["train"] * n_torn + ["test"] * 115, object))
    assert told.severity == severity
    assert told.measured["share_of_test"] == pytest.approx(n_torn / 115)


def test_groups_torn_between_train_and_calibration_alone_are_a_warning():
    told = find_torn_groups(
        np.array(["a", "a", "b"], object), np.array(["train", "calibration", "test"], object)
    )
    assert (told.severity, told.measured["n_test_images"]) == ("warning", 0)
