"""Tiles cover an image, join without seams, and a region says which pixels count."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image
from pydantic import ValidationError

from residua.errors import InputError
from residua.images import ImageSet
from residua.images.region import Region
from residua.images.tiling import GREY, Framing, Stitched, Tiling, choose_tiling

SIDES = st.integers(1, 90)
GRIDS = st.builds(
    Tiling,
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    overlap=st.sampled_from([0, 0.1, 0.5]),
)


@given(GRIDS, SIDES, SIDES)
def test_tiles_cover_every_pixel_and_their_maps_join_to_the_map_they_are_cut_from(
    tiling, height, width
):
    boxes = tiling.boxes(height, width)
    assert len(boxes) == tiling.n_places == tiling.rows * tiling.columns
    assert len({(box.height, box.width) for box in boxes}) == 1
    assert all(box.top + box.height <= height and box.left + box.width <= width for box in boxes)
    image = np.random.default_rng(0).random((height, width), np.float32)
    joined, ones = (Stitched(Framing(tiling), height, width, *more) for more in ((), (2,)))
    for place, box in enumerate(boxes):
        joined.add(place, image[box.rows, box.columns])
        ones.add(place, np.ones((box.height, box.width, 2)))
    np.testing.assert_allclose(joined.whole, image, rtol=1e-6)
    np.testing.assert_allclose(ones.whole, 1, rtol=1e-6)


def test_a_step_between_two_tiles_becomes_a_slope():
    tiling = Tiling(rows=1, columns=2, overlap=0.5)
    joined = Stitched(Framing(tiling), 1, 30)
    joined.add(0, np.zeros((1, 20)))
    joined.add(1, np.ones((1, 20)))
    steps = np.diff(joined.whole[0])
    assert joined.whole[0, 0] == 0 and joined.whole[0, -1] == 1
    assert (steps >= 0).all() and steps.max() < 0.11


@pytest.mark.parametrize(
    ("size", "asked", "grid"),
    [
        ((2048, 2448), "auto", (4, 5)),  # 12 megapixels and more: 20 tiles of 256 px
        ((500, 1270), "auto", (2, 5)),
        ((2000, 2000), 3, (3, 3)),
        ((1000, 3000), 2, (2, 6)),
        ((600, 600), 8, (2, 2)),  # more would be enlarged
    ],
)
def test_the_grid_follows_native_resolution_and_keeps_tiles_about_square(size, asked, grid):
    tiling, words = choose_tiling(np.array([size] * 3), 256, asked)
    assert (tiling.rows, tiling.columns) == grid
    assert f"{grid[0]} x {grid[1]} tiles" in words
    box = tiling.boxes(*size)[0]
    assert min(box.height, box.width) >= 256 and 0.5 < box.height / box.width < 2
    assert ("fewer than --tiles 8" in words) == (asked == 8)


@pytest.mark.parametrize("asked", ["auto", 4])
def test_images_no_larger_than_what_is_seen_get_no_tiles(asked):
    tiling, words = choose_tiling(np.array([[300, 260]]), 256, asked)
    assert tiling is None and "images of 300x260 are not cut into tiles" in words
    mixed = choose_tiling(np.array([[300, 260], [260, 300]]), 256, asked)[1]
    assert mixed.startswith("images of 280x280 (medians) are not cut")


def test_places_keep_their_own_mean_only_where_they_differ_more_than_chance_has_it():
    rng = np.random.default_rng(0)
    alike = Tiling(rows=2, columns=3).standardised(rng.normal(5, 2, (12, 6)))
    assert len(alike.means) == 1 and alike.means[0] == pytest.approx(5, abs=0.6)
    apart = Tiling(rows=2, columns=3).standardised(rng.normal(0, 1, (12, 6)) + 10 * np.arange(6))
    np.testing.assert_allclose(apart.means, 10 * np.arange(6), atol=1.5)
    assert apart.combine(10 * np.arange(6) + 0.0) < 1 < 4 < apart.combine([60, 10, 20, 30, 40, 50])


@pytest.mark.parametrize(
    "wrong", [{"means": (0.0, 1.0)}, {"spreads": (0.0,)}, {"means": (), "spreads": ()}]
)
def test_statistics_that_do_not_fit_the_grid_are_refused(wrong):
    with pytest.raises(ValidationError, match="one a place, and spreads above 0"):
        Tiling(rows=2, columns=2, **wrong)


def test_a_tile_that_is_not_looked_at_counts_nowhere():
    tiling = Tiling(rows=1, columns=3, highest=2)
    assert tiling.combine(np.array([1.0, np.nan, 3.0])) == 2
    scores = np.array([[1.0, np.nan, 3.0], [2.0, np.nan, 2.0]])
    assert tiling.standardised(scores).means == (2.0,)


def test_tiles_of_a_set_stay_with_their_image():
    array = np.arange(2 * 8 * 12, dtype=np.uint8).reshape(2, 8, 12, 1)
    images = ImageSet.from_arrays(array, groups=["one", None])
    tiling = Tiling(rows=2, columns=2)
    tiles = Framing(tiling).cut_all(images)
    assert len(tiles) == 8 and tiles.groups.tolist() == ["one"] * 4 + ["arrays[1]"] * 4
    box = tiling.boxes(8, 12)[3]
    np.testing.assert_array_equal(tiles[7], array[1, box.rows, box.columns])
    assert Framing(Tiling()).cut_all(images) is images


def test_tiles_cover_the_box_around_a_region_and_outside_it_are_grey_or_left_out():
    inside = np.zeros((8, 14), np.uint8)
    inside[1:4, 4:8] = inside[1:7, 8:12] = 1
    inside[2, 5] = 0
    images = ImageSet.from_arrays(np.full((1, 8, 14, 1), 7, np.uint8))
    framing = Framing(Tiling(rows=2, columns=2, overlap=0), Region.of_mask(inside))
    tiles = framing.cut_all(images)
    assert framing.extent(8, 14) == (1, 4, 6, 8)
    assert framing.places(8, 14) == [0, 1, 3] and len(tiles) == 3
    for place, tile in zip((0, 1, 3), tiles, strict=True):
        box = framing.boxes(8, 14)[place]
        expected = np.where(inside[box.rows, box.columns], 7, GREY)
        np.testing.assert_array_equal(tile[..., 0], expected)
    assert framing.seen_size((30, 40)) == (80, 140)
    joined = Stitched(framing, 8, 14, ground=-1)
    for place in framing.places(8, 14):
        joined.add(place, framing.within(np.ones((3, 4)), 8, 14, place))
    np.testing.assert_array_equal(joined.whole[1:7, 4:12], inside[1:7, 4:12])
    assert (joined.whole[:, :4] == -1).all()


def test_an_image_in_which_a_thin_region_falls_between_pixels_is_seen_whole():
    inside = np.zeros((64, 64), np.uint8)
    inside[0] = 1
    thin = Framing(region=Region.of_mask(inside))
    assert thin.extent(2, 2) == (0, 0, 2, 2)
    for framing in (thin, Framing(region=Region.of_mask(np.diag(np.arange(64) == 20)))):
        assert framing.places(2, 2) == [0] and framing.extent(2, 2) == (0, 0, 2, 2)
        image = np.arange(4, dtype=np.uint8).reshape(2, 2, 1)
        np.testing.assert_array_equal(framing.cut(image, 0), image)


def test_a_region_is_read_from_polygons_and_from_a_picture_and_scales_with_the_image(tmp_path):
    told = {"width": 200, "height": 100, "polygons": [[[0, 0], [100, 0], [100, 100], [0, 100]]]}
    (tmp_path / "half.json").write_text(json.dumps(told))
    Image.fromarray(np.array([[1, 0]] * 2, np.uint8)).save(tmp_path / "half.png")
    drawn, painted = (Region.read(tmp_path / f"half.{kind}") for kind in ("json", "png"))
    for region in (drawn, painted):
        np.testing.assert_array_equal(region.mask(6, 10), [[True] * 5 + [False] * 5] * 6)
        part = region.mask(6, 10, slice(0, 2), slice(3, 7))
        np.testing.assert_array_equal(part, [[True, True, False, False]] * 2)
        assert Region.model_validate_json(region.model_dump_json()) == region


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{nonsense",
        '{"polygons": [[[0, 0], [1, 1]]]}',
        '{"polygons": [[[0, 0], [2, 0], [1, 1]]]}',
        '{"width": 0, "polygons": []}',
        "no picture",
    ],
)
def test_a_file_without_a_region_is_refused(tmp_path, text):
    (tmp_path / "region").write_text(text)
    with pytest.raises(InputError, match=r"must hold a region\. Got .*polygons"):
        Region.read(tmp_path / "region")


def test_an_empty_region_and_one_that_is_damaged_are_refused():
    with pytest.raises(InputError, match="some pixel must lie inside"):
        Region.of_mask(np.zeros((4, 4)))
    good = Region.of_mask(np.ones((40, 40)))
    for wrong in ({"bits": "nonsense!"}, {"height": 1000, "width": 1000}):
        with pytest.raises(ValidationError, match="must be whole"):
            Region.model_validate(good.model_dump() | wrong)
