"""Resizing inside the graph is that of the images room, and none at all where sizes agree."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from residua.images.resize import resize, resize_weights
from residua.training.scoring import prepare
from residua.training.scoring.prepare import Prepare

LENGTHS = [(8, 8), (8, 16), (16, 8), (13, 9), (100, 28), (7, 64), (1, 5), (5, 1)]
SIZES = [
    ((8, 8), (16, 16)),
    ((28, 28), (9, 13)),
    ((40, 60), (32, 32)),
    ((300, 20), (64, 64)),
    ((17, 31), (8, 40)),
]


def random_images(n, size, channels=1, dtype=np.uint8):
    rng = np.random.default_rng([n, *size, channels])
    return (
        rng.integers(0, 256, (n, *size, channels)).astype(np.uint8)
        if dtype == np.uint8
        else rng.random((n, *size, channels), dtype)
    )


@pytest.mark.parametrize(("n_in", "n_out"), LENGTHS)
def test_weights_equal_those_of_the_images_room(n_in, n_out):
    ours = prepare.resize_weights(n_in, n_out, torch.tensor(n_in / n_out)).numpy()
    assert np.allclose(ours, resize_weights(n_in, n_out).toarray(), atol=1e-5)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5, 10.0])
def test_weights_of_any_scale_sum_to_one_and_none_is_negative(scale):
    weights = prepare.resize_weights(20, 12, torch.tensor(scale))
    assert torch.allclose(weights.sum(1), torch.ones(12))
    assert (weights >= 0).all()


@pytest.mark.parametrize(("size", "target"), SIZES, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_stretching_equals_resize_of_the_images_room(size, target, channels, dtype):
    images = random_images(3, size, channels, dtype)
    as_float = images.astype(np.float32) / (255 if dtype == np.uint8 else 1)
    prepared = Prepare(target)(torch.from_numpy(images))
    assert prepared.shape == (3, channels, *target)
    assert np.allclose(prepared.permute(0, 2, 3, 1).numpy(), resize(as_float, target), atol=1e-5)


@pytest.mark.parametrize("aspect", ["stretch", "keep"])
def test_images_of_the_networks_size_are_not_touched(aspect):
    images = random_images(4, (9, 13), 3)
    prepared = Prepare((9, 13), aspect)(torch.from_numpy(images))
    assert np.array_equal(
        prepared.permute(0, 2, 3, 1).numpy(), images.astype(np.float32) / np.float32(255)
    )
    maps = torch.rand(4, 9, 13)
    assert torch.equal(Prepare((9, 13), aspect).restore(maps, 9, 13), maps)


@pytest.mark.parametrize("aspect", ["stretch", "keep"])
@pytest.mark.parametrize("level", [0, 77, 255])
def test_constant_images_stay_constant_at_any_size(aspect, level):
    prepared = Prepare((16, 24), aspect)(torch.full((1, 50, 30, 1), level, dtype=torch.uint8))
    assert torch.allclose(prepared, torch.tensor(level / 255), atol=1e-6)


def test_keeping_proportions_scales_both_sides_alike_and_repeats_the_edge():
    image = torch.zeros(1, 40, 20, 1)
    image[:, :, 10:] = 1
    prepared = Prepare((16, 16), "keep")(image)[0, 0]
    assert torch.allclose(
        prepared[:, :4], torch.zeros(()), atol=1e-6
    )  # 20 columns became 8, in the middle
    assert torch.allclose(prepared[:, 12:], torch.ones(()), atol=1e-6)
    assert torch.allclose(Prepare((16, 16))(image)[0, 0, :, 5], torch.zeros(()), atol=1e-6)


@pytest.mark.parametrize("aspect", ["stretch", "keep"])
@pytest.mark.parametrize("size", [(40, 20), (20, 40), (16, 16), (8, 9)])
def test_maps_return_to_each_images_own_resolution_with_the_peak_in_its_place(aspect, size):
    image = torch.zeros(1, *size, 1)
    row, column = size[0] // 4, (3 * size[1]) // 4
    image[0, row, column] = 1
    prepared = Prepare((16, 16), aspect)
    restored = prepared.restore(prepared(image)[:, 0], *size)[0]
    assert restored.shape == size
    found = np.unravel_index(int(restored.argmax()), size)
    assert abs(found[0] - row) <= max(1, size[0] / 16)
    assert abs(found[1] - column) <= max(1, size[1] / 16)


@pytest.mark.parametrize("aspect", ["stretch", "keep"])
def test_no_value_leaves_the_range(aspect):
    prepared = Prepare((13, 29), aspect)(torch.from_numpy(random_images(2, (31, 8), 3)))
    assert prepared.min() >= 0
    assert prepared.max() <= 1


@pytest.mark.parametrize(
    "size", [(240, 600), (600, 240), (300, 300), (9, 900), (17, 31), (1, 4000)], ids=str
)
def test_at_equal_area_sides_are_multiples_of_16_and_proportions_stay_as_near_as_these_allow(size):
    height, width = Prepare((128, 96), "area").target(*size)
    assert height % 16 == width % 16 == 0
    scale = (128 * 96 / (size[0] * size[1])) ** 0.5
    assert abs(height - scale * size[0]) <= 8 or height == 16
    assert abs(width - scale * size[1]) <= 8 or width == 16


@pytest.mark.parametrize("size", [(100, 40), (40, 100), (64, 64)], ids=str)
def test_at_equal_area_maps_return_to_their_images_resolution_with_the_peak_in_its_place(size):
    prepare, image = Prepare((64, 64), "area"), torch.zeros(1, *size, 1)
    image[0, size[0] // 4, 3 * size[1] // 4] = 1
    restored = prepare.restore(prepare(image)[:, 0], *size)[0]
    assert restored.shape == size
    found = np.unravel_index(int(restored.argmax()), size)
    assert abs(found[0] - size[0] // 4) <= 2 and abs(found[1] - 3 * size[1] // 4) <= 2


def test_what_needs_one_size_gets_it():
    assert Prepare((64, 48), "area").at_one_size()(torch.zeros(1, 100, 30, 1)).shape == (
        1,
        1,
        64,
        48,
    )
    kept = Prepare((64, 48), "keep")
    assert kept.at_one_size() is kept


@pytest.mark.parametrize("aspect", ["stretch", "keep", "area"])
@pytest.mark.parametrize("size", [(3, 2000), (1300, 40), (700, 900)])
def test_in_pieces_a_resized_image_and_its_map_are_what_they_are_at_once(aspect, size, monkeypatch):
    image = torch.from_numpy(random_images(1, size, 3))
    prepared = Prepare((48, 32), aspect)
    whole = prepared(image)
    restored = prepared.restore(whole[:, 0], *size)
    monkeypatch.setattr(prepare, "_MOST_WEIGHTS", 0)
    assert torch.allclose(prepared(image), whole, atol=1e-6)
    assert torch.allclose(prepared.restore(whole[:, 0], *size), restored, atol=1e-6)


def test_grey_that_is_repeated_is_prepared_as_its_copy_is_bit_for_bit():
    for size in ((1100, 1000), (90, 70)):  # in pieces, and at once
        grey = torch.from_numpy(random_images(1, size))
        view = grey.expand(-1, -1, -1, 3)
        prepared = Prepare((48, 32))
        assert torch.equal(prepared(view), prepared(view.clone()))
        assert prepared(view).shape == (1, 3, 48, 32)


_PEAK = """
import resource
import torch
from residua.training.scoring.prepare import Prepare
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for height, width in ((1, 65_535), (65_535, 40)):
    prepared = Prepare((256, 256), "area")
    seen = prepared(torch.full((1, height, width, 1), 200, dtype=torch.uint8))
    assert torch.allclose(seen, torch.tensor(200 / 255))
    assert torch.allclose(prepared.restore(seen[:, 0], height, width), torch.tensor(200 / 255))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(os.name != "posix", reason="peak memory is asked for as POSIX has it")
def test_a_long_image_that_keeps_its_proportions_takes_memory_that_follows_its_pixels():
    """Weights of every output pixel for every input pixel took 4.3 GB at 65,535 x 256."""
    done = subprocess.run([sys.executable, "-c", _PEAK], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200
