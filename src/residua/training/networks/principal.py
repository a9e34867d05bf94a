"""Principal components as an autoencoder: the best linear one, and nothing in it is trained."""

from __future__ import annotations

import torch
from torch import Tensor

from residua.training.networks.base import AutoencoderNetwork, ImageShape


class PrincipalNetwork(AutoencoderNetwork):
    """The code is the image less the mean image, on each component; the decoder goes back.

    ``wanted`` components are asked for, at most one to ``images_each`` images; images that show
    fewer directions give fewer. Before they are found, everything is decoded to black.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, shape: ImageShape, wanted: int, *, images_each: int = 1) -> None:
        super().__init__()
        self.shape, self.wanted, self.images_each = shape, wanted, images_each
        self.register_buffer("mean", torch.zeros(shape.n_values))
        self.register_buffer("components", torch.zeros(1, shape.n_values))

    @property
    def latent(self) -> int:  # type: ignore[override]  # known once the components are found
        """How many components there are."""
        return len(self.components)

    def features(self, images: Tensor) -> Tensor:
        """The image less the mean image, (batch, n_values)."""
        return images.flatten(1) - self.mean

    def encode(self, images: Tensor) -> Tensor:
        """Images to codes, (batch, latent)."""
        return self.features(images) @ self.components.T

    def decode(self, codes: Tensor) -> Tensor:
        """Codes to reconstructions, (batch, channels, height, width)."""
        flat = codes @ self.components + self.mean
        return flat.unflatten(1, (self.shape.channels, self.shape.height, self.shape.width))

    def describe(self) -> str:
        """How many components of how many values."""
        return f"{self.latent} principal components of {self.shape.n_values:,} values"
