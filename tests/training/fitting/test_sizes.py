"""How large the network sees the images: the recipe's bound, the user's wish, the set's
proportions."""

from __future__ import annotations

import numpy as np
import pytest

from residua.errors import InputError
from residua.images import ImageSet
from residua.training.fitting.sizes import choose_aspect, choose_size
from residua.training.recipes import RECIPES, make_recipe


def images(*sizes: tuple[int, int]) -> ImageSet:
    return ImageSet.from_arrays([np.zeros(size, np.uint8) for size in sizes])


@pytest.mark.parametrize(
    ("sizes", "default_side", "expected"),
    [
        ([(100, 90)], 128, (100, 90)),
        ([(200, 180)], 128, (128, 115)),
        ([(200, 180)], 256, (200, 180)),
        ([(512, 384)], 256, (256, 192)),
        ([(300, 200), (300, 200), (600, 400)], 256, (256, 171)),
    ],
)
def test_images_stay_as_they_are_up_to_the_recipes_side_and_keep_their_proportions_beyond_it(
    sizes, default_side, expected
):
    assert choose_size(images(*sizes), None, "stretch", default_side=default_side)[0] == expected


def test_the_user_has_the_last_word():
    assert choose_size(images((512, 384)), 64, "stretch", default_side=256)[0] == (64, 48)
    assert choose_size(images((100, 50)), 200, "stretch", default_side=128)[0] == (200, 100)


def test_narrow_images_get_a_longer_side_so_that_the_shorter_one_suffices_where_it_does():
    assert choose_size(images((2048, 256)), None, "stretch", default_side=256, smallest_side=64)[
        0
    ] == (512, 64)
    assert choose_size(images((512, 32)), None, "stretch", default_side=256, smallest_side=64)[
        0
    ] == (512, 32)
    assert choose_size(images((2048, 256)), None, "stretch", default_side=256)[0] == (256, 32)


def test_mixed_sizes_keep_their_proportions_where_the_recipe_takes_any_size_and_are_stretched_where_not():
    mixed, alike = images((100, 50), (50, 100)), images((100, 50), (100, 50))
    assert RECIPES["inspect"].any_size and not RECIPES["plain"].any_size
    assert choose_aspect(mixed, None, make_recipe("inspect")) == "area"
    assert choose_aspect(alike, None, make_recipe("inspect")) == "stretch"
    assert choose_aspect(mixed, None, make_recipe("plain")) == "stretch"
    assert choose_aspect(mixed, "keep", make_recipe("inspect")) == "keep"
    assert "the area of 100x100, each at its own proportions" in choose_size(mixed, 100, "area")[1]


def test_proportions_of_their_own_are_refused_where_the_recipe_needs_one_size():
    with pytest.raises(InputError, match=r"Got plain\. Choose stretch or keep"):
        choose_aspect(images((100, 50)), "area", make_recipe("plain"))
