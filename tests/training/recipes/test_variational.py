"""`variational`: scored by error or by the evidence lower bound."""

from __future__ import annotations

import torch
from torch.distributions import Normal, kl_divergence

from residua.training.networks import ImageShape
from residua.training.recipes import make_recipe
from residua.training.recipes.variational import kl_to_standard_normal


def scorers(beta: float):
    """The same network scored by error and by the bound, and the network."""
    torch.manual_seed(0)
    network = make_recipe("variational", latent=3).build_network(ImageShape(12, 12, 1)).eval()
    return (
        *(
            make_recipe("variational", latent=3, beta=beta, score=score).build_scorer(network)
            for score in ("error", "elbo")
        ),
        network,
    )


def test_the_bound_is_the_error_and_the_weighted_divergence_of_torchs_own_normals():
    error, elbo, network = scorers(beta=0.5)
    images = torch.rand(5, 1, 12, 12)
    with torch.inference_mode():
        mean, log_variance = network.posterior(images)
        divergence = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
        difference = elbo(images).score - error(images).score
    assert torch.allclose(difference, 0.5 * divergence / 144, atol=1e-6)
    assert (difference > 0).all()


def test_without_weight_the_bound_is_the_error_and_maps_and_reconstructions_are_always_the_same():
    error, elbo, _ = scorers(beta=0)
    images = torch.rand(5, 1, 12, 12)
    with torch.inference_mode():
        by_error, by_bound = error(images), elbo(images)
    assert torch.equal(by_error.score, by_bound.score)
    assert torch.equal(by_error.error_map, by_bound.error_map)
    assert torch.equal(by_error.reconstruction, by_bound.reconstruction)


def test_a_standard_normal_code_has_no_divergence_and_any_other_has():
    assert kl_to_standard_normal(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 0
    assert kl_to_standard_normal(torch.ones(1, 4), torch.zeros(1, 4)).item() == 2
    assert kl_to_standard_normal(torch.zeros(1, 4), torch.ones(1, 4)).item() > 0
