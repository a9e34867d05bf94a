"""Joint network: a residual autoencoder with two more heads on its encoder.

One head is a classifier, one projects.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from residua.training.networks.base import NetworkAround
from residua.training.networks.residual import ResidualAutoencoder

_PROJECTION = 64


class JointOutput(NamedTuple):
    """Class logits (batch, n_classes), projections (batch, 64) and reconstructions, all float32."""

    logits: Tensor
    projections: Tensor
    reconstructions: Tensor


class JointNetwork(NetworkAround):
    """Reconstruction, classifier and a contrastive head share the encoder."""

    base: ResidualAutoencoder

    def __init__(self, base: ResidualAutoencoder, n_classes: int) -> None:
        super().__init__(base)
        self.classifier = nn.Linear(base.n_maps, n_classes)
        self.project = nn.Sequential(
            nn.Linear(base.n_maps, 2 * _PROJECTION),
            nn.ReLU(),
            nn.Linear(2 * _PROJECTION, _PROJECTION),
        )

    def heads(self, images: Tensor) -> JointOutput:
        """All three heads at once, for training."""
        maps = self.base.maps(images)
        pooled = maps.mean((2, 3))
        restored = self.base.decode(self.base.to_code(self.base.grid_features(maps)))
        return JointOutput(
            self.classifier(pooled).float(), self.project(pooled).float(), restored.float()
        )

    def describe(self) -> str:
        """The base network's words, with the heads."""
        return (
            f"{self.base.describe()}, with a classifier head of {self.classifier.out_features}"
            " classes"
        )
