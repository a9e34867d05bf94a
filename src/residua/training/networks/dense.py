"""Dense autoencoder: fully connected layers down to the latent and up again.

Its weights may be tied.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua.training.networks.base import AutoencoderNetwork, ImageShape


class DenseAutoencoder(AutoencoderNetwork):
    """Fully connected layers with ReLU between them; the code and the reconstruction are linear.

    With ``tied=True`` the decoder has no matrices of its own: it multiplies by the transposes of
    the encoder's, as a restricted Boltzmann machine or PCA does; biases stay separate.
    """

    def __init__(
        self,
        shape: ImageShape,
        latent: int,
        *,
        hidden: tuple[int, ...] | None = None,
        tied: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.latent, self.tied = shape, latent, tied
        self.hidden = tuple(hidden) if hidden is not None else _pick_hidden(shape, latent)
        sizes = [shape.n_values, *self.hidden, latent]
        self.encoder = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(sizes[:-1]))
        self.to_code = nn.Linear(sizes[-2], latent)
        if tied:
            self.decoder_biases = nn.ParameterList(torch.zeros(size) for size in sizes[-2::-1])
        else:
            self.decoder = nn.ModuleList(
                nn.Linear(n_in, n_out) for n_in, n_out in pairwise(sizes[::-1])
            )

    def features(self, images: Tensor) -> Tensor:
        """The last hidden layer, (batch, n_hidden)."""
        features = images.flatten(1)
        for layer in self.encoder:
            features = F.relu(layer(features))
        return features

    def decode(self, codes: Tensor) -> Tensor:
        """Codes to reconstructions, (batch, channels, height, width)."""
        features = codes
        for level, (weight, bias) in enumerate(self._decoder_layers()):
            features = F.linear(features if level == 0 else F.relu(features), weight, bias)
        return features.unflatten(1, (self.shape.channels, self.shape.height, self.shape.width))

    def _decoder_layers(self) -> list[tuple[Tensor, Tensor]]:
        if not self.tied:
            return [(layer.weight, layer.bias) for layer in self.decoder]  # type: ignore[misc]
        layers: list[nn.Linear] = [self.to_code, *reversed(list(self.encoder))]  # type: ignore[list-item]
        return [
            (layer.weight.T, bias) for layer, bias in zip(layers, self.decoder_biases, strict=True)
        ]

    def describe(self) -> str:
        """Depth, widths and latent size in a few words."""
        widths = "-".join(map(str, self.hidden)) or "none"
        return (
            f"dense{' with tied weights' if self.tied else ''}, hidden layers {widths}, latent"
            f" {self.latent}"
        )


def _pick_hidden(shape: ImageShape, latent: int) -> tuple[int, ...]:
    """Two hidden layers between the image and the code, at most 512 and 256 wide."""
    first = min(512, max(64, shape.n_values // 2))
    second = max(min(256, first // 2), min(latent, 256))
    return (first, second)
