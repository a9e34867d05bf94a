"""Distances to the nearest of far-apart vectors."""

from __future__ import annotations

import torch

from residua.training.scoring import density
from residua.training.scoring.density import Nearest, far_apart_rows


def test_the_bank_covers_what_is_rare():
    vectors = torch.cat([torch.zeros(50, 3), torch.eye(3)])
    assert vectors[far_apart_rows(vectors, 4)].unique(dim=0).shape == (4, 3)
    assert far_apart_rows(vectors[:1], 2).tolist() == [0, 0]


def test_what_was_seen_lies_at_zero_and_the_distance_is_that_to_the_nearest():
    seen = torch.randn(200, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [1.0, 10, 0.1, 1]
    )
    nearest = Nearest(4)
    nearest.fit(seen)
    maps = seen.T.reshape(1, 4, 10, 20)
    assert nearest(maps).shape == (1, 1, 10, 20)
    assert nearest(maps).max() < 0.01
    far = maps + 5
    white = (far.flatten(2)[0].T - nearest.centre) @ nearest.whitening
    expected = torch.cdist(white, (seen - nearest.centre) @ nearest.whitening).amin(1)
    assert torch.allclose(nearest(far).flatten(), expected, atol=1e-3)


def test_a_rare_direction_counts_as_much_as_a_common_one():
    seen = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [100.0, 100.0]
    )
    nearest = Nearest(2)
    nearest.fit(seen)
    scaled = Nearest(2)
    scaled.fit(seen * 0.01)
    probe = torch.tensor([500.0, -300.0]).view(1, 2, 1, 1)
    assert torch.allclose(nearest(probe), scaled(probe * 0.01), rtol=0.02)


def test_very_many_are_chosen_along_random_directions_and_lie_as_far_apart(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    few = torch.randn(2000, 8, generator=generator)  # what images show varies in few directions
    vectors = few @ torch.randn(8, 80, generator=generator)
    exact = far_apart_rows(vectors, 100)
    monkeypatch.setattr(density, "_MANY", 1)
    chosen = far_apart_rows(vectors, 100)
    assert len(set(chosen.tolist())) == 100

    def reach(rows):
        return float(torch.cdist(vectors, vectors[rows]).amin(1).max())

    assert reach(chosen) < 1.15 * reach(exact)
