"""What surrounds synthetic defects: smoothing, own units, crops, and changes of light that are no
defect."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from residua.training.synthesis import Draws, change_exposure, random_crops, smooth, standardise


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), torch.device("cpu"))


def images(n: int = 3, channels: int = 1, size: tuple[int, int] = (48, 64)) -> torch.Tensor:
    return torch.rand(n, channels, *size, generator=torch.Generator().manual_seed(3))


def test_smoothing_is_scipys_gaussian_filter():
    given = images(channels=2)
    expected = gaussian_filter(given.double().numpy(), (0, 0, 2, 2), mode="nearest", truncate=2.5)
    assert np.allclose(smooth(given, 2.0).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(96, 96), (97, 95)])
def test_wide_smoothing_at_a_reduced_size_comes_close_to_it(size):
    given = gaussian_filter(images(size=size).numpy(), (0, 0, 3, 3)).astype(np.float32)
    expected = gaussian_filter(given, (0, 0, 12, 12), mode="nearest", truncate=2.5)
    difference = np.abs(smooth(torch.from_numpy(given), 12.0).numpy() - expected)
    assert difference.max() < given.std()
    assert difference[..., 16:-16, 16:-16].max() < 0.2 * given.std()


def test_smoothing_keeps_a_constant_image():
    assert torch.allclose(
        smooth(torch.full((1, 3, 32, 32), 0.7), 12.0), torch.tensor(0.7), atol=1e-5
    )


def test_own_units_do_not_see_gain_or_offset_and_come_back():
    given = images()
    seen = standardise(given)
    assert torch.allclose(standardise(0.3 * given + 0.1).values, seen.values, atol=1e-3)
    assert torch.allclose(seen.values.mean((1, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(seen.undo(seen.values), given, atol=1e-5)


def test_a_constant_image_is_zero_in_its_own_units():
    assert torch.equal(standardise(torch.full((1, 1, 8, 8), 0.25)).values, torch.zeros(1, 1, 8, 8))


@pytest.mark.parametrize("size", [(64, 64), (70, 200), (300, 90)])
def test_crops_are_square_and_hold_values_of_their_own_image(size):
    given = images(4, 3, size) + torch.arange(4.0).view(4, 1, 1, 1)
    crops = random_crops(draws(), given, 64)
    assert crops.shape == (4, 3, 64, 64)
    assert (crops.flatten(1).amin(1) >= given.flatten(1).amin(1) - 1e-5).all()
    assert (crops.flatten(1).amax(1) <= given.flatten(1).amax(1) + 1e-5).all()


def test_crops_follow_from_the_generator_and_reach_the_corners():
    ramp = torch.arange(100.0).view(1, 1, 1, 100).expand(200, 1, 100, 100).contiguous()
    crops = random_crops(draws(), ramp, 32)
    assert torch.equal(crops, random_crops(draws(), ramp, 32))
    assert (crops.amin((1, 2, 3)) < 1).float().mean() > 0.1
    assert (crops.amax((1, 2, 3)) > 98).float().mean() > 0.1


def test_another_exposure_keeps_the_order_of_brightness_mostly():
    given = standardise(images(8)).values
    given = smooth(given, 2.0) / smooth(given, 2.0).std()
    changed = change_exposure(draws(), given)
    assert torch.isfinite(changed).all()
    assert not torch.equal(changed, given)
    for one, other in zip(given, changed, strict=True):
        assert spearmanr(one.flatten(), other.flatten()).statistic > 0.8
