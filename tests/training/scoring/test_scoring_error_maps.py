"""Errors inside the graph are those of the NumPy wing, to five digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from residua import metrics
from residua.training.scoring import error_maps

SHAPES = [(8, 8, 1), (8, 8, 3), (9, 13, 1), (10, 40, 3), (11, 11, 1), (28, 28, 1), (17, 31, 3)]


def pair(shape, seed=0):
    rng = np.random.default_rng([seed, *shape])
    return rng.random((5, *shape), np.float32), rng.random((5, *shape), np.float32)


def as_tensor(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("closeness", [1.0, 0.1, 0.001])
def test_ssim_mse_and_mae_equal_the_judging_wings(shape, closeness):
    images, others = pair(shape)
    reconstructions = images + closeness * (others - images)
    x, r = as_tensor(images), as_tensor(reconstructions)
    assert np.allclose(
        error_maps.ssim(x, r).numpy(), metrics.ssim(images, reconstructions), atol=1e-5
    )
    assert np.allclose(
        error_maps.squared(x, r).mean((1, 2)).numpy(),
        metrics.mse(images, reconstructions),
        atol=1e-5,
    )
    assert np.allclose(
        error_maps.absolute(x, r).mean((1, 2)).numpy(),
        metrics.mae(images, reconstructions),
        atol=1e-5,
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equal_images_have_no_error(shape):
    x = as_tensor(pair(shape)[0])
    assert torch.all(error_maps.squared(x, x) == 0)
    assert torch.all(error_maps.absolute(x, x) == 0)
    assert torch.allclose(error_maps.ssim(x, x), torch.ones(5), atol=1e-5)
    assert torch.allclose(error_maps.dissimilarity(x, x), torch.zeros(()), atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_constant_images_are_similar_to_themselves(level):
    x = torch.full((1, 1, 16, 16), level)
    assert error_maps.ssim(x, x).item() == pytest.approx(1, abs=1e-4)


def test_dissimilarity_map_has_a_value_a_pixel_between_0_and_1():
    images, others = pair((9, 13, 3))
    error_map = error_maps.dissimilarity(as_tensor(images), as_tensor(others))
    assert error_map.shape == (5, 9, 13)
    assert error_map.min() >= 0
    assert error_map.max() <= 1


def test_a_local_change_is_seen_where_it_is():
    image = as_tensor(pair((32, 32, 1))[0])
    changed = image.clone()
    changed[:, :, 20, 8] = 1 - changed[:, :, 20, 8]
    for name in ("squared", "absolute", "dissimilarity"):
        error_map = getattr(error_maps, name)(image, changed)
        rows, columns = np.unravel_index(error_map.flatten(1).argmax(1).numpy(), (32, 32))
        assert np.abs(rows - 20).max() <= 5
        assert np.abs(columns - 8).max() <= 5
        assert (error_map[:, :10] == 0).all() or error_map[:, :10].abs().max() < 1e-4
