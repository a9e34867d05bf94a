"""`plain`: an autoencoder trained to reproduce its input, scored by how badly it does. The baseline of the field."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from residua.models import ImageShape, build_network
from residua.recipes.base import Recipe
from residua.scoring.scorer import Error, ErrorScorer, Scorer

Loss = Literal["squared", "absolute", "binary-cross-entropy"]


class Plain(Recipe):
    """Reproduce the input; a pixel's error is its score, an image's score the mean over pixels.

    ``error="squared"`` is the average square distance (the default), ``"euclidean"`` its root over the whole image,
    ``"absolute"`` the average absolute distance, ``"ssim"`` the structural dissimilarity ``(1 - SSIM) / 2``.
    """

    name: ClassVar[str] = "plain"
    summary: ClassVar[str] = "an autoencoder, scored by its reconstruction error"
    cost: ClassVar[str] = "seconds to two minutes on two cores at 28x28"
    good_for: ClassVar[str] = "reconstruction; as a detector it is the baseline to beat"
    blind_to: ClassVar[tuple[str, ...]] = ("dimmed", "black", "simpler")

    family: Literal["conv", "dense"] = "conv"
    tied: bool = False
    loss_name: Loss = "squared"
    error: Error = "squared"

    def build_network(self, shape: ImageShape) -> nn.Module:
        """A fresh autoencoder of the family, Glorot-initialised."""
        options = {"tied": self.tied} if self.family == "dense" else {}
        network = build_network(self.family, shape, self.latent, **options)
        network.apply(_glorot)
        return network

    def loss(self, network: nn.Module, images: Tensor, generator: Generator) -> Tensor:  # noqa: ARG002  nothing here is random
        """Mean error of the reconstruction, over pixels and images."""
        return reconstruction_loss(self.loss_name, network(images), images)

    def build_scorer(self, network: nn.Module) -> Scorer:
        """Reconstruct, compare, average."""
        return ErrorScorer(network, self.error, logits=self.loss_name == "binary-cross-entropy")


def reconstruction_loss(name: Loss, output: Tensor, images: Tensor) -> Tensor:
    """Squared, absolute, or Bernoulli cross-entropy with `output` as logits; a mean over everything, in float32."""
    output = output.float()
    if name == "squared":
        return F.mse_loss(output, images)
    if name == "absolute":
        return F.l1_loss(output, images)
    return F.binary_cross_entropy_with_logits(output, images)


def _glorot(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        torch.nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            torch.nn.init.zeros_(module.bias)
