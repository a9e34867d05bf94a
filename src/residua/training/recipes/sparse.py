"""`sparse`: an autoencoder whose code units are rarely active (Ng, 2011)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from residua.training.recipes.reconstruction import ReconstructionRecipe, reconstruction_loss


class Sparse(ReconstructionRecipe):
    """Penalise code units whose mean activation is far from a small target.

    The penalty is a Kullback-Leibler divergence.

    Activation is the sigmoid of the code; its mean is taken over the batch, so batches should not
    be tiny. ``target`` is the mean activation wanted, ``weight`` that of the penalty (summed over
    units) against the reconstruction loss.
    """

    name: ClassVar[str] = "sparse"
    summary: ClassVar[str] = (
        "few latent units are active at a time (KL penalty); scored by its error"
    )
    cost: ClassVar[str] = "as plain"
    good_for: ClassVar[str] = "latent vectors with more dimensions than the images need"

    target: float = Field(default=0.05, gt=0, lt=1)
    weight: float = Field(default=1e-3, ge=0)

    def loss(self, network: Any, images: Tensor, generator: Generator) -> Tensor:
        """Reconstruction error plus the weighted penalty."""
        codes = network.encode(images)
        error = reconstruction_loss(self.loss_name, network.decode(codes), images)
        return error + self.weight * sparsity_penalty(codes.float(), self.target)


def sparsity_penalty(codes: Tensor, target: float) -> Tensor:
    """Sum over units of KL(target || mean activation), in nats; 0 if all are the target."""
    activation = torch.sigmoid(codes).mean(0).clamp(1e-6, 1 - 1e-6)
    wanted = torch.tensor(target)
    return (
        wanted * (wanted / activation).log()
        + (1 - wanted) * ((1 - wanted) / (1 - activation)).log()
    ).sum()
