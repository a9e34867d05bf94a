"""What the recipes that reconstruct have in common.

A network family, a loss, an error, and densities on the code.
"""

from __future__ import annotations

from abc import ABC
from typing import ClassVar, Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from residua.training.networks import ImageShape, build_network
from residua.training.recipes.base import Recipe
from residua.training.scoring.density import Density, DensityScorer
from residua.training.scoring.scorer import Error, ErrorScorer, Scorer

Loss = Literal["squared", "absolute", "binary-cross-entropy"]


class ReconstructionRecipe(Recipe, ABC):
    """Options shared by recipes that reproduce an image and score what is left over.

    ``error="squared"`` is the average square distance (the default), ``"euclidean"`` its root over
    the whole image, ``"absolute"`` the average absolute distance, ``"ssim"`` the structural
    dissimilarity ``(1 - SSIM) / 2``. ``density`` adds how unusual the code is, each part
    standardised on held-out normals.
    """

    blind_to: ClassVar[tuple[str, ...]] = ("black", "dimmed", "simpler")

    family: Literal["conv", "dense"] = "conv"
    tied: bool = False
    loss_name: Loss = "squared"
    error: Error = "squared"
    density: tuple[Density, ...] = ()

    @model_validator(mode="after")
    def _ties_dense_weights_only(self) -> Self:
        if self.tied and self.family != "dense":
            raise ValueError("tied weights need the family dense")
        return self

    def build_network(self, shape: ImageShape) -> nn.Module:
        """A fresh autoencoder of the family, Glorot-initialised."""
        options = {"tied": self.tied} if self.family == "dense" else {}
        network = build_network(self.family, shape, self.latent, **options)
        network.apply(glorot)
        return network

    def build_scorer(self, network: nn.Module) -> Scorer:
        """Reconstruct, compare, average; add densities where asked for."""
        return with_density(self._error_scorer(network), self.density, network)

    def _error_scorer(self, network: nn.Module) -> ErrorScorer:
        return ErrorScorer(network, self.error, logits=self.loss_name == "binary-cross-entropy")


def with_density(scorer: Scorer, density: tuple[Density, ...], network: nn.Module) -> Scorer:
    """`scorer`, or the sum of it and densities on the network's code."""
    return DensityScorer(scorer, density, network.latent) if density else scorer  # type: ignore[arg-type]


def reconstruction_loss(name: Loss, output: Tensor, images: Tensor) -> Tensor:
    """Squared, absolute, or Bernoulli with `output` as logits; the mean, in float32."""
    output = output.float()
    if name == "squared":
        return F.mse_loss(output, images)
    if name == "absolute":
        return F.l1_loss(output, images)
    return F.binary_cross_entropy_with_logits(output, images)


def glorot(module: nn.Module) -> None:
    """Keras' default initialisation: uniform, scaled by fan-in and fan-out; zero biases."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        torch.nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            torch.nn.init.zeros_(module.bias)
