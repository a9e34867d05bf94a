"""Copies: each kind is found and named, similar images are not accused, and the search misses no
near neighbour."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from PIL import Image

from residua.images import ImageSet, load_images, resize, search_duplicates
from residua.images.duplicates import search
from residua.images.duplicates.alignment import ReducedImage, align
from residua.images.duplicates.cells import Cells
from residua.images.duplicates.criteria import kind_of
from residua.images.duplicates.noise import compare_noise
from residua.images.duplicates.reencoding import blocks_of, is_reencoded
from residua.images.duplicates.similarity import FRAMES, TURNS, WHOLE, Similarity, encode, unturned


def scenes(n: int, seed: int = 0, size: tuple[int, int] = (48, 40)) -> np.ndarray:
    """Pictures with coarse and fine forms, as photographs have them: random numbers under a falling
    spectrum."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(
        *np.meshgrid(np.fft.fftfreq(size[0]), np.fft.fftfreq(size[1]), indexing="ij")
    )
    white = np.fft.fft2(rng.normal(size=(n, *size)))
    pictures = np.fft.ifft2(white / (frequency + 0.03) ** 1.3).real
    pictures -= pictures.min(axis=(1, 2), keepdims=True)
    return (20 + 200 * pictures / pictures.max(axis=(1, 2), keepdims=True)).astype(np.uint8)


def encoded(picture: np.ndarray, quality: int = 60) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


CHANGES = {
    "exact": lambda x: x.copy(),
    "re-encoded": encoded,
    "resized": lambda x: resize(x[..., np.newaxis], (31, 26))[..., 0],
    "brightened": lambda x: np.clip(x * 1.2 + 10, 0, 255).astype(np.uint8),
    "cropped": lambda x: x[2:-1, 1:-1],
    "flipped": lambda x: x[:, ::-1],
    "rotated": np.rot90,
}


@pytest.mark.parametrize("kind", CHANGES)
def test_each_kind_of_copy_is_found_and_named(kind: str):
    pictures = scenes(60)
    copies = [np.ascontiguousarray(CHANGES[kind](picture)) for picture in pictures[:10]]
    found = search_duplicates(ImageSet.from_arrays([*pictures, *copies]))
    assert {(copy.first, copy.second) for copy in found.pairs} == {
        (row, 60 + row) for row in range(10)
    }
    assert {copy.kind for copy in found.pairs} == {kind}
    assert [rows.tolist() for rows in found.members()] == [[row, 60 + row] for row in range(10)]


def test_a_flipped_crop_of_other_brightness_is_all_three():
    pictures = scenes(60)
    copy = np.ascontiguousarray((pictures[7][1:-2, 2:-1] // 2)[::-1])
    (found,) = search_duplicates(ImageSet.from_arrays([*pictures, copy])).pairs
    assert found.kind == "flipped + cropped + brightened"


@pytest.mark.slow
def test_similar_images_of_one_class_are_no_copies():
    digits = load_images("digits")
    found = search_duplicates(digits)
    assert len(found.pairs) == 0
    assert (found.groups == np.arange(len(digits))).all()


def test_several_sets_are_searched_as_one_and_rows_count_through():
    pictures = scenes(40)
    sets = [
        ImageSet.from_arrays(pictures[:30]),
        ImageSet.from_arrays(pictures[30:]),
        ImageSet.from_arrays(pictures[3:4]),
    ]
    assert [(copy.first, copy.second, copy.kind) for copy in search_duplicates(sets).pairs] == [
        (3, 40, "exact")
    ]


def test_more_copies_than_neighbours_that_are_looked_at_end_in_one_group():
    pictures = scenes(120)
    many = np.stack(
        [
            np.clip(pictures[0].astype(int) + shift, 0, 255).astype(np.uint8)
            for shift in range(1, 13)
        ]
    )
    found = search_duplicates(ImageSet.from_arrays(np.concatenate([pictures, many])))
    assert [rows.tolist() for rows in found.members()] == [[0, *range(120, 132)]]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_hardly_any_images_are_no_trouble(n: int):
    assert search_duplicates(ImageSet.from_arrays(scenes(3)[:n].reshape(n, 48, 40))).pairs == ()


def test_images_that_show_nothing_are_no_copies_of_each_other():
    pictures = np.full((6, 8, 8), 100, np.uint8)
    pictures[3] = 101
    pictures[4:, 2:4, 2:4] = 7
    for only_exact in (False, True):
        found = search_duplicates(ImageSet.from_arrays(pictures), only_exact=only_exact)
        assert [rows.tolist() for rows in found.members()] == [[4, 5]]
    coloured = np.zeros((2, 8, 8, 3), np.uint8) + np.array([10, 20, 30], np.uint8)
    assert search_duplicates(ImageSet.from_arrays(coloured)).pairs == ()


def test_the_seed_of_the_search_changes_nothing_that_is_found():
    pictures = scenes(600, size=(16, 16))
    images = ImageSet.from_arrays(np.concatenate([pictures, pictures[:50, ::-1]]))
    results = [{copy[:2] for copy in search_duplicates(images, seed=seed).pairs} for seed in (0, 1)]
    assert results[0] == results[1]
    assert len(results[0]) == 50


def test_cells_find_near_neighbours_that_all_comparisons_would_find():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(3000, 12)).astype(np.float32)
    queries = points[:200] + 0.05 * rng.normal(size=(200, 12)).astype(np.float32)
    rows, distances = Cells(points).nearest(queries, 1)
    everywhere = np.linalg.norm(queries[:, np.newaxis] - points, axis=2)
    assert (rows[:, 0] == everywhere.argmin(axis=1)).mean() >= 0.99
    assert distances[:, 0] == pytest.approx(everywhere.min(axis=1), abs=1e-3)


def test_cells_that_one_point_repeated_would_fill_are_cut():
    points = np.zeros((10_000, 3), np.float32)
    points[:, 0] = np.arange(10_000) * 1e-6
    cells = Cells(points)
    assert np.diff(cells._bounds).max() <= 4096
    assert cells.nearest(points[:5], 3)[0].shape == (5, 3)


@settings(max_examples=60, deadline=None)
@example(
    n=1200, n_clusters=2, noise=0.2, n_ways=8, seed=1
)  # a centre that no point is nearest to, once it is a mean
@given(
    n=st.one_of(st.integers(1, 20), st.integers(500, 2600)),
    n_clusters=st.integers(1, 40),
    noise=st.sampled_from([0.0, 1e-6, 1e-3, 0.05, 0.2, 1.0]),
    n_ways=st.sampled_from([1, 2, 8, 99]),
    seed=st.integers(0, 99),
)
def test_cells_of_clusters_of_any_shape_find_what_all_comparisons_find(
    n: int, n_clusters: int, noise: float, n_ways: int, seed: int
):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n_clusters, n_ways))[
        rng.integers(0, n_clusters, n)
    ] + noise * rng.normal(size=(n, n_ways))
    points = points.astype(np.float32)
    cells = Cells(points, seed=seed)
    assert np.array_equal(np.sort(cells.order), np.arange(n))
    asked = rng.choice(n, min(n, 20), replace=False)
    rows, distances = cells.nearest(points[asked], 3, near=asked)
    everywhere = np.linalg.norm(points[asked, np.newaxis] - points, axis=2)
    is_there = rows >= 0
    assert is_there[:, 0].all()
    told, rounding = (
        np.take_along_axis(everywhere, np.maximum(rows, 0), 1),
        2e-3 * float(1 + np.linalg.norm(points, axis=1).max()),
    )
    assert distances[is_there] == pytest.approx(told[is_there], abs=rounding)
    assert distances[:, 0] == pytest.approx(everywhere.min(axis=1), abs=rounding)


@pytest.mark.parametrize(
    ("n", "n_scenes", "noise"), [(700, 1, 3), (700, 5, 4), (700, 20, 2), (700, 5, 0)]
)
def test_a_fixed_camera_is_searched_and_what_was_planted_is_found(
    n: int, n_scenes: int, noise: float
):
    """Photographs of a few scenes that differ by their noise alone are no copies; those under other
    light are."""
    rng = np.random.default_rng(n_scenes)
    scene = scenes(n_scenes, seed=1, size=(16, 16)).astype(np.float32)[rng.integers(0, n_scenes, n)]
    pictures = np.clip(scene + rng.normal(0, noise, scene.shape), 0, 255).astype(np.uint8)
    darker = np.rint(0.8 * pictures[:10]).astype(np.uint8)
    found = search_duplicates(ImageSet.from_arrays(np.concatenate([pictures, darker])))
    pairs = {(one.first, one.second) for one in found.pairs}
    assert noise == 0 or {(row, n + row) for row in range(10)} <= pairs
    assert noise == 0 or len(pairs) <= 12
    assert noise or len(found.members()) <= n_scenes


def parts(n: int, noise: float, seed: int = 0, side: int = 32) -> np.ndarray:
    """Smooth parts of one shape at any angle, (n, side, side): nothing tells two of them apart but
    angle and noise."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[:side, :side] / side - 0.5
    angle = rng.uniform(0, 2 * np.pi, (n, 1, 1))
    x, y = (
        np.cos(angle) * across + np.sin(angle) * down,
        np.cos(angle) * down - np.sin(angle) * across,
    )
    inside = 1 / (1 + np.exp((np.hypot(x / 0.36, y / 0.2) - 1) * 20))
    drawn = 60 + 120 * (1 + 0.4 * x) * inside + rng.normal(0, noise, (n, side, side))
    return np.clip(drawn, 0, 255).round().astype(np.uint8)


def test_parts_of_one_shape_at_any_angle_are_no_copies_and_copies_of_one_are() -> None:
    """By reach and details alone 23 of 60 were accused."""
    pictures = parts(60, noise=1)
    assert search_duplicates(ImageSet.from_arrays(pictures)).pairs == ()
    copies = [
        encoded(pictures[3], 75),
        encoded(pictures[5], 40),
        *np.rint(0.7 * pictures[7:8]).astype(np.uint8),
    ]
    found = {
        (one.first, one.second): one.kind
        for one in search_duplicates(ImageSet.from_arrays([*pictures, *copies])).pairs
    }
    wanted = {(3, 60): "re-encoded", (5, 61): "re-encoded", (7, 62): "brightened"}
    assert wanted.items() <= found.items()
    assert all(second >= 60 for _, second in found)


@pytest.mark.parametrize("noise", [1, 3, 8])
def test_noise_is_independent_in_two_photographs_and_shared_by_a_copy(noise: float) -> None:
    shape = parts(1, noise=0)[0].astype(float)
    rng = np.random.default_rng(1)
    first, second = (
        np.clip(shape + rng.normal(0, noise, shape.shape), 0, 255).round().astype(np.uint8)
        for _ in range(2)
    )

    def noise_of(other: np.ndarray):
        return align(
            ReducedImage.of(first[..., np.newaxis]),
            ReducedImage.of(other[..., np.newaxis]),
            0,
            np.zeros(4, np.float32),
        ).noise

    assert abs(noise_of(second).correlation) < 0.2
    assert noise_of(second).is_independent
    darker, cut = noise_of(np.rint(0.8 * first).astype(np.uint8)), noise_of(first[1:, 1:])
    assert darker.correlation > 0.5
    assert cut.correlation > 0.9
    assert not darker.is_independent
    assert not noise_of(encoded(first, 40)).is_independent


def test_a_picture_without_noise_says_nothing_of_it() -> None:
    ramp = np.add.outer(np.arange(40.0), np.arange(40.0)) / 80
    assert np.isnan(compare_noise(ramp, ramp, (lambda: ramp, lambda: ramp)).correlation)


@pytest.mark.parametrize("quality", [20, 40, 61, 75, 90])
@pytest.mark.parametrize("size", [(8, 8), (28, 28), (48, 40), (120, 100)])
def test_a_picture_before_and_after_jpeg_is_known_and_another_photograph_of_it_is_not(
    quality: int, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    one = scenes(1, size=size)[0]
    other = np.clip(one + rng.normal(0, 6, size), 0, 255).astype(np.uint8)
    coded = blocks_of(encoded(one, quality)[..., np.newaxis])
    assert is_reencoded(blocks_of(one[..., np.newaxis]), coded)
    assert is_reencoded(coded, blocks_of(one[..., np.newaxis]))
    assert not is_reencoded(blocks_of(other[..., np.newaxis]), coded)


def test_colours_floats_other_sizes_and_pictures_without_a_block_are_no_trouble_to_jpeg() -> None:
    colours = scenes(3, size=(48, 48)).transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(colours).save(file, "JPEG", quality=60)
    assert is_reencoded(blocks_of(colours), blocks_of(np.asarray(Image.open(file))))
    assert blocks_of(colours.astype(np.float32) / 255) is None
    assert blocks_of(colours[:7]) is None
    assert not is_reencoded(blocks_of(colours), blocks_of(colours[:40]))


@pytest.mark.parametrize("turn", range(8))
def test_no_turn_changes_what_candidates_are_searched_by_and_the_turn_is_told(turn: int):
    transposed, vertical, horizontal = TURNS[turn]
    picture = scenes(1, size=(32, 32))[0]
    other = picture.T if transposed else picture
    other = other[::-1] if vertical else other
    other = other[:, ::-1] if horizontal else other
    codes = encode([picture[..., np.newaxis], other[..., np.newaxis]], 2)
    similarity = Similarity.of(codes)
    unit = similarity.unit(codes)
    first, second = unturned(unit)
    assert second == pytest.approx(first, abs=1e-5)
    distance, told, _ = similarity.aligned(codes, unit, np.array([[1, 0]]), WHOLE)
    assert (distance[0] < 1e-3, int(told[0])) == (True, turn)


def test_a_crop_of_the_code_is_the_code_of_the_crop():
    pictures = scenes(5, size=(200, 200))
    left, right, top, bottom = 0.05, 0.0, 0.0, 0.05
    cropped = pictures[:, : 200 - 10, 10:]
    codes, of_crops = (encode(list(stack[..., np.newaxis]), 5) for stack in (pictures, cropped))
    similarity = Similarity.of(codes)
    apart = np.linalg.norm(
        (similarity.unit(codes, (left, right, top, bottom)) - similarity.unit(of_crops)).reshape(
            5, -1
        ),
        axis=1,
    )
    between = np.linalg.norm(
        (similarity.unit(codes) - similarity.unit(of_crops)).reshape(5, -1), axis=1
    )
    assert (apart < 0.25 * between).all()
    assert (left, right, top, bottom) in FRAMES


def test_pixels_are_aligned_to_a_fraction_of_a_pixel_and_details_tell_pictures_apart():
    pictures = scenes(2, size=(60, 60))
    first, second = pictures[0][..., np.newaxis], pictures[0][3:, 1:-2, np.newaxis]
    told = align(
        ReducedImage.of(first),
        ReducedImage.of(second),
        0,
        np.array([0.0, 0.02, 0.04, 0.0], np.float32),
    )
    assert told.cut == pytest.approx((1 / 60, 2 / 60, 3 / 60, 0), abs=0.3 / 60)
    assert told.details > 0.98
    assert kind_of(told) == "cropped"
    other = ReducedImage.of(pictures[1][..., np.newaxis])
    assert align(ReducedImage.of(first), other, 0, np.zeros(4, np.float32)).details < 0.5


@pytest.mark.slow
def test_a_copy_beyond_the_reach_is_known_by_details_that_agree_all_but_perfectly():
    """Clipped light and a few small copies of small pictures move low frequencies further than
    other pictures are."""
    pictures = [one[..., 0] for one in load_images("digits")[:700]]
    bright = [np.clip(one * 1.3, 0, 255).astype(np.uint8) for one in pictures[100:108]]
    small = [
        np.asarray(Image.fromarray(one).resize((6, 6), Image.Resampling.BICUBIC))
        for one in pictures[300:308]
    ]
    found = {
        (one.first, one.second)
        for one in search_duplicates(ImageSet.from_arrays([*pictures, *bright, *small])).pairs
    }
    n = len(pictures)
    wanted = [*((100 + i, n + i) for i in range(8)), *((300 + i, n + 8 + i) for i in range(8))]
    assert found == set(wanted)


def test_only_exact_copies_can_be_asked_for():
    pictures = scenes(20, size=(24, 24))
    images = ImageSet.from_arrays(np.concatenate([pictures, pictures[3:4], pictures[5:6, ::-1]]))
    assert [one.kind for one in search_duplicates(images, only_exact=True).pairs] == ["exact"]


def test_the_same_images_are_searched_once(monkeypatch):
    pictures = scenes(20, seed=7, size=(24, 24))
    first = search_duplicates(ImageSet.from_arrays(pictures))
    searched = []
    monkeypatch.setattr(search, "_searched", lambda *given, **_: searched.append(given) or first)
    assert search_duplicates(ImageSet.from_arrays(pictures.copy())) is first
    assert not searched
    for other, seed in ((pictures[::-1], 0), (pictures, 1)):
        search_duplicates(ImageSet.from_arrays(other), seed=seed)
    assert len(searched) == 2


def test_a_search_for_copies_of_new_images_finds_what_a_search_of_all_does():
    rng = np.random.default_rng(4)
    pictures = rng.integers(0, 200, (60, 24, 24)).astype(np.uint8)
    own = ImageSet.from_arrays(np.concatenate([pictures, pictures[5:7] // 2]))
    new = ImageSet.from_arrays(np.concatenate([pictures[3:4, :, ::-1], pictures[9:10] // 2]))
    of_all = {(one.first, one.second, one.kind) for one in search_duplicates([own, new]).pairs}
    of_new = search_duplicates([own, new], since=len(own)).pairs
    assert {(5, 60), (6, 61)} <= {pair[:2] for pair in of_all}
    assert {(one.first, one.second, one.kind) for one in of_new} == {
        pair for pair in of_all if pair[1] >= len(own)
    }
    assert {pair.first for pair in of_new} == {3, 9}
