"""The parts of the turned scorer, and what contrast and detail lead one to expect of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf
from torch.nn import functional as F

from residua.training.networks import ImageShape, JointNetwork, ResidualAutoencoder
from residua.training.networks.filters import N_ORIENTATIONS, orientation_histograms
from residua.training.networks.residual import pooling
from residua.training.scoring.complexity import ExpectedError, complexity
from residua.training.scoring.rotation_score import PARTS, RotationScorer, quarter_turn

_SIZE = 16


def pictures(n: int, seed: int = 0, channels: int = 1) -> torch.Tensor:
    """Smooth random images in [0, 1]."""
    coarse = torch.rand(n, channels, 4, 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(_SIZE, _SIZE), mode="bilinear", align_corners=False)


def scorer(parts=PARTS, channels: int = 1) -> RotationScorer:
    torch.manual_seed(0)
    network = JointNetwork(ResidualAutoencoder(ImageShape(_SIZE, _SIZE, channels), 4, width=4), 4)
    return RotationScorer(network, parts).eval()


def test_halving_an_image_lowers_contrast_by_log_two_and_detail_by_twice_that():
    images = pictures(5)
    difference = complexity(images) - complexity(images / 2)
    assert torch.allclose(
        difference, torch.tensor([math.log(2), 2 * math.log(2)]).expand(5, 2), atol=0.02
    )


def test_a_constant_image_has_the_least_complexity_and_it_is_finite():
    flat = complexity(torch.full((1, 1, _SIZE, _SIZE), 0.3))
    assert torch.isfinite(flat).all()
    assert (flat < complexity(pictures(5))).all()


def test_what_follows_from_contrast_and_detail_is_taken_off_whole_where_there_are_many_images():
    variables = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    scores = torch.stack([2 * variables[:, 0] - variables[:, 1] + 3, torch.full((4000,), 5.0)], 1)
    expected = ExpectedError(2)
    expected.fit(variables, scores)
    assert torch.allclose(expected(variables), scores, atol=0.02)


def test_of_few_images_alike_the_mean_is_expected():
    expected = ExpectedError(1)
    expected.fit(torch.ones(3, 2), torch.tensor([[1.0], [2.0], [6.0]]))
    assert torch.allclose(
        expected(torch.tensor([[1.0, 1.0], [50.0, -50.0]])), torch.tensor([[3.0], [3.0]])
    )


def test_beyond_the_images_it_was_fitted_to_the_line_is_level():
    variables = torch.rand(100, 2, generator=torch.Generator().manual_seed(0))
    expected = ExpectedError(1)
    expected.fit(variables, variables.sum(1, keepdim=True))
    at_the_end, beyond = variables.amax(0, keepdim=True), torch.tensor([[40.0, 70.0]])
    assert torch.equal(expected(at_the_end), expected(beyond))


def test_a_vertical_edge_lies_in_the_direction_across_it_and_the_opposite_edge_in_the_opposite_one():
    image = torch.zeros(2, 1, 8, 8)
    image[0, :, :, 4:] = 1
    image[1, :, :, :4] = 1
    histograms = orientation_histograms(image, pooling(8, 8, 1))
    assert histograms.argmax(1).tolist() == [0, N_ORIENTATIONS // 2]
    assert torch.allclose(histograms[0].max(), histograms[1].max())


def test_the_direction_of_gradients_does_not_depend_on_shade_or_contrast():
    images, cells = pictures(4), pooling(_SIZE, _SIZE, 4)
    given = F.normalize(orientation_histograms(images, cells), dim=1)
    relit = F.normalize(orientation_histograms(0.5 * images + 0.2, cells), dim=1)
    assert torch.allclose(given, relit, atol=1e-3)


def test_the_mahalanobis_part_is_scikit_learns_averaged_over_the_turns():
    made, train, held_out, test = (
        scorer(("mahalanobis",)),
        pictures(60),
        pictures(20, seed=1),
        pictures(7, seed=2),
    )
    with torch.inference_mode():
        made.fit(train, held_out)
        distances = []
        for turn in range(4):
            pooled = [
                made.network.base.maps(quarter_turn(images, turn)).mean((2, 3)).numpy()
                for images in (train, test)
            ]
            distances.append(
                np.sqrt(LedoitWolf().fit(pooled[0].astype(float)).mahalanobis(pooled[1]))
            )
        part = made.parts_of(test)[:, 0] * made.spread + made.centre
    assert part.numpy() == pytest.approx(np.mean(distances, axis=0), rel=1e-2)


@pytest.mark.parametrize("channels", [1, 3])
def test_held_out_normals_score_zero_on_average_and_weights_sum_to_one(channels):
    made, held_out = scorer(channels=channels), pictures(40, seed=1, channels=channels)
    with torch.inference_mode():
        made.fit(pictures(60, channels=channels), held_out)
        parts, score = made.parts_of(held_out), made(held_out).score
    assert torch.allclose(parts.mean(0), torch.zeros(len(PARTS)), atol=1e-3)
    assert torch.allclose(parts.std(0, correction=0), torch.ones(len(PARTS)), atol=1e-3)
    assert made.weight.sum() == pytest.approx(1)
    assert torch.allclose((parts * made.weight).sum(1), score, atol=1e-5)


def test_a_part_that_tells_made_anomalies_from_normal_images_weighs_more_than_one_that_says_nothing():
    made, train, held_out = scorer(("gradients", "turns")), pictures(60), pictures(40, seed=1)
    torch.nn.init.zeros_(made.network.classifier.weight)  # every turn is as likely
    torch.nn.init.zeros_(made.network.classifier.bias)
    with torch.inference_mode():
        made.fit(train, held_out)
    assert made.weight[0] > 5 * made.weight[1]


def test_turns_are_the_cross_entropy_of_the_head_that_names_them():
    made, images = scorer(("turns",)), pictures(5)
    with torch.inference_mode():
        logits = [made.network.heads(quarter_turn(images, turn)).logits for turn in range(4)]
        expected = [
            F.cross_entropy(one, torch.full((5,), turn), reduction="none")
            for turn, one in enumerate(logits)
        ]
        assert torch.allclose(made.parts_of(images)[:, 0], torch.stack(expected).mean(0), atol=1e-5)


def test_of_a_single_held_out_image_no_anomaly_is_made_and_all_parts_weigh_the_same():
    made = scorer()
    with torch.inference_mode():
        made.fit(pictures(30), pictures(1, seed=1))
    assert torch.allclose(made.weight, torch.full((len(PARTS),), 1 / len(PARTS)))


def test_a_training_image_has_itself_among_its_neighbours():
    made, train = scorer(("neighbours", "gradients")), pictures(30)
    with torch.inference_mode():
        made.fit(train, pictures(10, seed=1))
        parts = [made.parts_of(images).mean(0) for images in (train, pictures(30, seed=3))]
    assert (parts[0] < parts[1]).all()
