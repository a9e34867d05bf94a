"""Maps in units of what is usual at each place, and scores from their highest places."""

from __future__ import annotations

import torch

from residua.training.scoring.places import Places, centre_and_spread, highest, tamed


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_what_is_usual_at_a_place_is_not_strange_there():
    maps = noise(200, 2, 20, 30)
    maps[:, 0, :10] += 50  # the upper half is always high
    places = Places(2)
    places.fit(maps.split(64))
    high = torch.full((1, 2, 20, 30), 50.0)
    above, below = places(high)[0, 0, :8], places(high)[0, 0, 12:]
    assert above.abs().max() < 0.1 * below.min()
    assert places(maps)[:, 1].mean().abs() < 0.05


def test_maps_of_several_sizes_share_what_is_usual():
    places = Places(1)
    places.fit([5 + noise(40, 1, 20, 30), 5 + noise(40, 1, 40, 24)])
    assert places(torch.full((1, 1, 17, 9), 5.0)).abs().max() < 1


def test_at_least_one_place_counts_and_the_order_of_places_does_not():
    maps = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(highest(maps, 1e-9), maps.amax((1, 2)))
    assert torch.allclose(highest(maps, 1.0), maps.mean((1, 2)))
    assert torch.allclose(highest(maps.flip(1), 0.1), highest(maps, 0.1))


def test_however_far_out_a_value_stays_finite_and_in_order():
    values = torch.tensor([-1e30, -3.0, 0.0, 3.0, 1e12, 1e30])
    assert torch.isfinite(tamed(values)).all()
    assert (tamed(values).diff() >= 0).all()
    assert torch.allclose(tamed(values[1:4]), values[1:4].asinh())


def test_hidden_anomalies_do_not_change_what_is_usual():
    usual = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    spoilt = torch.cat([usual[:36], torch.full((4, 2), 1e6)])
    for clean, hidden in zip(centre_and_spread(usual), centre_and_spread(spoilt), strict=True):
        assert torch.allclose(clean, hidden, atol=0.5)
