"""`variational`: codes are distributions near a standard normal one.

Scored by error or by the evidence lower bound.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor, nn

from residua.training.networks import ImageShape, VariationalAutoencoder
from residua.training.recipes.reconstruction import (
    ReconstructionRecipe,
    glorot,
    reconstruction_loss,
    with_density,
)
from residua.training.scoring.scorer import ErrorScorer, Scorer, ScorerAround, ScorerOutput


class Variational(ReconstructionRecipe):
    """Minimise the negative evidence lower bound.

    Reconstruction error plus ``beta`` times KL(posterior || N(0, 1)).

    ``score="error"`` is the error of the reconstruction from the mean code; ``"elbo"`` adds the KL
    term as in the loss, both a mean over the image's values, so that it does not grow with the
    image.
    """

    name: ClassVar[str] = "variational"
    summary: ClassVar[str] = (
        "latent vectors are distributions near a standard normal one; scored by error or ELBO"
    )
    cost: ClassVar[str] = "as plain"
    good_for: ClassVar[str] = "latent vectors to sample from; a smooth latent space"

    beta: float = Field(default=0.02, ge=0)
    score: Literal["error", "elbo"] = "error"

    def build_network(self, shape: ImageShape) -> nn.Module:
        """The family's network with a second head."""
        base: Any = super().build_network(shape)
        network = VariationalAutoencoder(base)
        network.to_log_variance.apply(glorot)
        return network

    def loss(self, network: Any, images: Tensor, generator: Generator) -> Tensor:
        """Negative ELBO per value of the image, with one sample of the code."""
        mean, log_variance = network.posterior(images)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        output = network.decode(mean + noise * (0.5 * log_variance).exp())
        error = reconstruction_loss(self.loss_name, output, images)
        return (
            error
            + self.beta * (kl_to_standard_normal(mean, log_variance) / images[0].numel()).mean()
        )

    def build_scorer(self, network: nn.Module) -> Scorer:
        """By error, or by error and KL."""
        scorer: Scorer = self._error_scorer(network)
        if self.score == "elbo":
            scorer = ElboScorer(self._error_scorer(network), self.beta)
        return with_density(scorer, self.density, network)


class ElboScorer(ScorerAround):
    """Error plus ``beta`` times the KL term over the image's number of values."""

    def __init__(self, inner: ErrorScorer, beta: float) -> None:
        super().__init__(inner)
        self.beta = beta

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images."""
        output = self.inner(images)
        network: Any = self.network
        divergence = kl_to_standard_normal(*network.posterior(images)) / images[0].numel()
        return output._replace(score=output.score + self.beta * divergence)


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) of each code over its dimensions, in nats, (batch,)."""
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
