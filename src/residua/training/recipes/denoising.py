"""`denoising`: reproduce the clean image from a noisy, partly masked one (Vincent et al., 2008)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor, nn

from residua.training.recipes.reconstruction import ReconstructionRecipe, reconstruction_loss


class Denoising(ReconstructionRecipe):
    """Corrupt the input by Gaussian noise and by masked squares, reproduce the clean image.

    Scored on clean images.

    ``noise`` is the noise's standard deviation on the [0, 1] scale, ``masked`` the share of
    4x4-pixel squares set to zero.
    """

    name: ClassVar[str] = "denoising"
    summary: ClassVar[str] = (
        "reproduces the clean image from a noisy, masked one; scored by its error"
    )
    cost: ClassVar[str] = "as plain"
    good_for: ClassVar[str] = (
        "a latent vector that holds structure instead of pixels; textures with noise"
    )

    noise: float = Field(default=0.1, ge=0, le=1)
    masked: float = Field(default=0.2, ge=0, lt=1)

    def loss(self, network: nn.Module, images: Tensor, generator: Generator) -> Tensor:
        """Mean error of the reconstruction of the corrupted images against the clean ones."""
        return reconstruction_loss(self.loss_name, network(self.corrupt(images, generator)), images)

    def corrupt(self, images: Tensor, generator: Generator) -> Tensor:
        """`images` with noise, clipped to [0, 1], and with squares masked."""
        noise = torch.randn(images.shape, generator=generator).to(images) * self.noise
        return (images + noise).clamp(0, 1) * keep_squares(images, self.masked, generator)


def keep_squares(images: Tensor, share: float, generator: Generator, side: int = 4) -> Tensor:
    """1 where an image is kept, 0 in its masked squares, (batch, 1, height, width)."""
    height, width = images.shape[-2:]
    grid = (len(images), 1, -(-height // side), -(-width // side))
    kept = (torch.rand(grid, generator=generator) >= share).to(images)
    return kept.repeat_interleave(side, 2).repeat_interleave(side, 3)[..., :height, :width]
