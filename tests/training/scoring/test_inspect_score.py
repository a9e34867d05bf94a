"""The scorer of `inspect`: what its parts mean, and what it learns from held-out normals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

from residua.errors import InputError
from residua.training.networks import ImageShape
from residua.training.networks.skip import SkipNetwork, degraded_view
from residua.training.scoring.error_maps import gradient_dissimilarity
from residua.training.scoring.inspect_score import (
    PARTS,
    PLACED_PARTS,
    SURFACE_PARTS,
    InspectScorer,
)
from residua.training.scoring.places import tamed
from residua.training.scoring.prepared_store import UnitImages
from residua.training.synthesis import FAMILIES


def scorer(parts=PARTS, size=(64, 70), channels=1) -> InspectScorer:
    torch.manual_seed(0)
    return InspectScorer(
        SkipNetwork(ImageShape(*size, channels), width=2), parts, tuple(FAMILIES)
    ).eval()


def textures(n: int, seed: int = 0, size=(64, 70), channels: int = 1) -> torch.Tensor:
    return 0.5 + 0.1 * torch.randn(
        n, channels, *size, generator=torch.Generator().manual_seed(seed)
    ).clamp(-4, 4)


@pytest.fixture(scope="module")
def fitted() -> InspectScorer:
    made = scorer()
    with torch.inference_mode():
        made.fit(textures(24), textures(12, seed=1))
    return made


def test_gradient_dissimilarity_is_zero_for_equals_and_for_a_shift_of_brightness():
    given = torch.rand(2, 3, 32, 40)
    assert torch.allclose(gradient_dissimilarity(given, given), torch.zeros(2, 32, 40), atol=1e-6)
    assert torch.allclose(
        gradient_dissimilarity(given, given + 0.3), torch.zeros(2, 32, 40), atol=1e-5
    )


def test_gradient_dissimilarity_is_symmetric_and_highest_where_an_edge_is_missing():
    flat, edge = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    edge[..., 16:] = 3
    error = gradient_dissimilarity(edge, flat)
    assert torch.allclose(error, gradient_dissimilarity(flat, edge))
    assert 0.5 < error[0, 16, 15:17].mean() <= 1
    assert error[0, :, :8].max() < 0.01


def test_gradient_dissimilarity_at_one_scale_is_the_formula_of_the_paper():
    one, other = np.random.default_rng(0).normal(size=(2, 20, 20))
    kernel = np.array([[1, 0, -1]] * 3) / 3

    def strength(values):
        return np.hypot(
            convolve(values, kernel, mode="nearest"), convolve(values, kernel.T, mode="nearest")
        )

    x, y = strength(one), strength(other)
    expected = 1 - (2 * x * y + 0.05) / (x * x + y * y + 0.05)
    given = [torch.tensor(values, dtype=torch.float32)[None, None] for values in (one, other)]
    assert np.allclose(gradient_dissimilarity(*given, scales=1)[0].numpy(), expected, atol=1e-4)


def test_the_network_sees_no_gain_and_refuses_images_that_are_too_small():
    given = textures(1)
    view = degraded_view(given - given.mean())
    assert view.shape == (1, 2, 64, 70)
    assert torch.equal(view[:, 1:], given - given.mean())
    with pytest.raises(InputError, match="at least 64 px"):
        SkipNetwork(ImageShape(64, 63, 1))


def test_an_untrained_network_restores_nothing_and_marks_nothing():
    network = SkipNetwork(ImageShape(64, 64, 3), width=2).eval()
    output = network(torch.randn(2, 3, 64, 64))
    assert torch.equal(output.restoration, torch.zeros(2, 3, 64, 64))
    assert torch.equal(output.logits, torch.full((2, 1, 64, 64), -3.0))
    assert output.features.shape == (2, network.n_features, 8, 8)


def test_a_hole_hides_what_is_in_it():
    torch.manual_seed(0)
    network = SkipNetwork(ImageShape(64, 64, 1), width=2).eval()
    torch.nn.init.normal_(network.output.weight)
    given, other, kept = (
        torch.randn(1, 1, 64, 64),
        torch.randn(1, 1, 64, 64),
        torch.zeros(1, 1, 64, 64),
    )
    assert torch.equal(network(given, kept).logits, network(other, kept).logits)
    assert not torch.equal(network(given).logits, network(other).logits)


def test_normal_images_score_about_zero_and_weights_sum_to_one(fitted):
    with torch.inference_mode():
        score = fitted(textures(12, seed=1)).score
    assert score.mean().abs() < 0.2
    assert fitted.weight.sum() == pytest.approx(1)
    assert (fitted.weight > 0).all()


def test_a_part_that_does_not_find_synthetic_defects_weighs_next_to_nothing():
    made = scorer(("segmentation", "texture"))  # an untrained network marks nothing
    with torch.inference_mode():
        made.fit(textures(24), textures(40, seed=1))
    marks, texture = made.weight
    assert marks < 0.1 * texture


def half_and_half(n: int, seed: int = 0) -> torch.Tensor:
    """Smooth on the left, rough on the right."""
    images = textures(n, seed, size=(64, 64))
    images[..., :32] = 0.5 + 0.1 * (images[..., :32] - 0.5)
    return images


def test_a_surface_whose_halves_are_exchanged_is_found_by_its_quarters_and_not_by_the_whole():
    made = scorer(("texture", *SURFACE_PARTS), (64, 64))
    with torch.inference_mode():
        made.fit(half_and_half(60), half_and_half(40, seed=1))
        given = half_and_half(9, seed=2)
        normal, exchanged = (
            made._scores_of(images - images.mean()) for images in (given, given.flip(-1))
        )
    spread = made.image_spread
    _, whole, quarters = ((exchanged - normal) / spread).median(0).values
    assert quarters > 10
    assert abs(whole) < 0.2 * quarters


def test_another_grain_all_over_is_found_by_the_whole():
    made = scorer(("texture", *SURFACE_PARTS))
    with torch.inference_mode():
        made.fit(textures(60), textures(40, seed=1))
        coarse = torch.nn.functional.avg_pool2d(textures(9, seed=2, size=(66, 72)), 3, stride=1)
        parts = (made._scores_of(coarse - coarse.mean()) - made.image_mean) / made.image_spread
    assert parts[:, 1].min() > 5


def test_made_defects_do_not_say_what_the_surface_is_worth():
    made = scorer(("segmentation", *SURFACE_PARTS))
    with torch.inference_mode():
        made.fit(textures(24), textures(40, seed=1))
    marks, whole, quarters = made.weight
    assert whole == quarters > marks


def test_one_part_far_out_does_not_drown_the_others(fitted):
    normal = textures(1, seed=5)
    with torch.inference_mode():
        parts = fitted._scores_of(normal - normal.mean())
        far, farther = (
            parts + factor * fitted.image_spread * torch.eye(len(fitted.parts))[0]
            for factor in (10, 1000)
        )
        added = [
            tamed((one - fitted.image_mean) / fitted.image_spread)[0, 0] for one in (far, farther)
        ]
    assert 2 < added[0] < 4
    assert added[0] < added[1] < 9


def test_fitting_twice_gives_the_same_buffers(fitted):
    again = scorer()
    with torch.inference_mode():
        again.fit(textures(24), textures(12, seed=1))
    for name, value in fitted.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_dark_flat_and_blinding_images_score_far_above_normal_ones(fitted):
    normal = textures(4, seed=2)
    strange = torch.cat([torch.zeros(1, 1, 64, 70), torch.ones(1, 1, 64, 70), normal[:1] / 8])
    with torch.inference_mode():
        assert fitted(strange).score.min() > fitted(normal).score.max() + 5


def test_maps_and_scores_do_not_change_when_an_image_is_dimmed_within_the_range_seen():
    made = scorer()
    normal, held_out = (
        torch.cat([textures(12, seed=seed), 0.8 * textures(12, seed=seed)]) for seed in (0, 1)
    )
    with torch.inference_mode():
        made.fit(normal, held_out)
        bright, dim = made(textures(3, seed=4)), made(0.8 * textures(3, seed=4))
    assert torch.allclose(bright.score, dim.score, atol=0.05)
    assert torch.allclose(bright.error_map, dim.error_map, atol=0.05)


@pytest.mark.parametrize("part", PLACED_PARTS)
def test_each_part_alone_gives_finite_scores_in_colour_at_odd_sizes(part):
    made = scorer((part,), (65, 83), 3)
    with torch.inference_mode():
        made.fit(
            textures(9, size=(65, 83), channels=3), textures(3, seed=1, size=(65, 83), channels=3)
        )
        score, error_map, reconstruction = made(textures(2, seed=2, size=(65, 83), channels=3))[:3]
    assert torch.isfinite(score).all()
    assert error_map.shape == (2, 65, 83)
    assert reconstruction.shape == (2, 3, 65, 83)


def test_one_held_out_image_is_enough_to_stay_finite():
    made = scorer()
    with torch.inference_mode():
        made.fit(textures(1), textures(1, seed=1))
        assert torch.isfinite(made(textures(2, seed=2)).score).all()


class _Watched(UnitImages):
    """Notes how many images are given out as floats at once."""

    def __init__(self, images):
        super().__init__(images)
        self.most = 0

    def __getitem__(self, index):
        chosen = super().__getitem__(index)
        self.most = max(self.most, len(chosen))
        return chosen

    def split(self, n):
        self.most = max(self.most, n)
        return super().split(n)

    def every(self, stride):
        self.seen = _Watched(self._images[::stride])
        return self.seen


def test_fitting_never_asks_for_all_images_as_floats_at_once_and_learns_the_same():
    bytes_of = (255 * textures(40)).round().to(torch.uint8)
    watched, all_at_once = _Watched(bytes_of), scorer()
    made = scorer()
    with torch.inference_mode():
        made.fit(watched, textures(4, seed=1))
        all_at_once.fit(bytes_of.float() / 255, textures(4, seed=1))
    assert 0 < watched.most <= 8
    for (name, one), other in zip(made.named_buffers(), all_at_once.buffers(), strict=True):
        assert torch.allclose(one.float(), other.float(), atol=1e-5), name
