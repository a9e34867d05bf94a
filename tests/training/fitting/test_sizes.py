"""How large the network sees the images: the recipe's bound, the user's wish, the set's
proportions."""

from __future__ import annotations

import numpy as np
import pytest

from residua.errors import InputError
from residua.evaluation.check import sources
from residua.evaluation.check.sources import detector_size
from residua.images import ImageSet
from residua.images.resize import Sides
from residua.training.fitting.fit import expected_size
from residua.training.fitting.options import ClassifyOptions, DetectOptions
from residua.training.fitting.recipe_choice import candidates
from residua.training.fitting.sizes import choose_aspect, choose_prepare, choose_size
from residua.training.recipes import RECIPES, make_recipe
from residua.training.scoring.prepare import Prepare
from residua.training.strategies import make_strategy


def images(*sizes: tuple[int, int]) -> ImageSet:
    return ImageSet.from_arrays([np.zeros(size, np.uint8) for size in sizes])


@pytest.mark.parametrize(
    ("sizes", "side", "expected"),
    [
        ([(100, 90)], 128, (100, 90)),
        ([(200, 180)], 128, (128, 115)),
        ([(200, 180)], 256, (200, 180)),
        ([(512, 384)], 256, (256, 192)),
        ([(300, 200), (300, 200), (600, 400)], 256, (256, 171)),
    ],
)
def test_images_stay_as_they_are_up_to_the_recipes_side_and_keep_their_proportions_beyond_it(
    sizes, side, expected
):
    assert choose_size(images(*sizes), None, "stretch", Sides(side))[0] == expected


@pytest.mark.parametrize(
    ("size", "expected"), [((128, 96), (256, 192)), ((64, 64), (256, 256)), ((24, 32), (48, 64))]
)
def test_a_memory_enlarges_small_photographs_more_than_pictures_of_single_objects(size, expected):
    """In trials too: else `auto` would choose by another size than it fits."""
    memory = make_recipe("memory", backbone="filters")
    for is_trial in (False, True):
        assert (
            choose_prepare(images(size), memory, None, None, is_trial=is_trial)[0].size == expected
        )


def test_the_user_has_the_last_word():
    assert choose_size(images((512, 384)), 64, "stretch", Sides(256))[0] == (64, 48)
    assert choose_size(images((100, 50)), 200, "stretch", Sides(128))[0] == (200, 100)


def test_narrow_images_get_a_longer_side_so_that_the_shorter_one_suffices_where_it_does():
    assert choose_size(images((2048, 256)), None, "stretch", Sides(256, smallest=64))[0] == (
        512,
        64,
    )
    assert choose_size(images((512, 32)), None, "stretch", Sides(256, smallest=64))[0] == (512, 32)
    assert choose_size(images((2048, 256)), None, "stretch", Sides(256))[0] == (256, 32)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(200, 180)], (256, 230)),
        ([(512, 384)], (256, 192)),
        ([(1024, 1024)], (410, 410)),
        ([(1259, 500)], (504, 200)),
        ([(2048, 2448)], (410, 490)),
    ],
)
def test_large_images_are_seen_finer_by_a_memory_but_not_in_a_trial(sizes, expected):
    memory = make_recipe("memory", backbone="filters")
    seen = choose_prepare(images(*sizes), memory, None, None)[0].size
    assert seen == expected
    trial = choose_prepare(images(*sizes), memory, None, None, is_trial=True)[0].size
    assert max(trial) <= 256
    assert choose_prepare(images(*sizes), memory, 64, None)[0].size[0] <= 64


def test_mixed_sizes_keep_their_proportions_where_the_recipe_takes_any_size_and_are_stretched_where_not():
    mixed, alike = images((100, 50), (50, 100)), images((100, 50), (100, 50))
    assert RECIPES["inspect"].any_size and not RECIPES["plain"].any_size
    assert choose_aspect(mixed, None, make_recipe("inspect")) == "area"
    assert choose_aspect(alike, None, make_recipe("inspect")) == "stretch"
    assert choose_aspect(mixed, None, make_recipe("plain")) == "stretch"
    assert choose_aspect(mixed, "keep", make_recipe("inspect")) == "keep"
    assert "the area of 100x100, each at its own proportions" in choose_size(mixed, 100, "area")[1]


def test_the_sentence_says_what_preparing_does():
    """Sides are multiples of 16 where images keep their own proportions."""
    alike = images((100, 90), (100, 90))
    size, words = choose_size(alike, None, "area")
    assert Prepare(size, "area").target(100, 90) == (96, 96)
    assert "are resized to 96x96" in words
    assert choose_size(images((96, 96)), None, "area")[1].endswith("stay so")


@pytest.mark.parametrize(
    "shape",
    [(28, 28), (63, 300), (64, 64), (128, 96), (2000, 100), (400, 300), (1240, 500), (1024, 1024)],
)
@pytest.mark.parametrize("size", [None, 320])
def test_check_and_fit_expect_the_size_that_the_network_gets(shape, size):
    given = images(shape)
    options = DetectOptions(source="x", size=size)
    expected = expected_size(options, given)
    assert detector_size(given.sizes, size) == expected
    chosen = [choose_prepare(given, one, size, None)[0].size for one in candidates(given).values()]
    assert expected == max(chosen)
    classify = ClassifyOptions(source="x", size=size)
    strategy = make_strategy(classify.strategy, n_classes=2)
    assert expected_size(classify, given) == choose_prepare(given, strategy, size, None)[0].size


def test_proportions_of_their_own_are_refused_where_the_recipe_needs_one_size():
    with pytest.raises(InputError, match=r"Got plain\. Choose stretch or keep"):
        choose_aspect(images((100, 50)), "area", make_recipe("plain"))


def test_check_expects_no_finer_size_where_no_backbone_is_installed(monkeypatch):
    monkeypatch.setattr(sources, "_SEES_FINER", "no_such_package")
    assert detector_size(np.array([[2048, 2448]])) == (214, 256)
