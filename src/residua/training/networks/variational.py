"""Variational autoencoder.

The encoder gives a distribution over codes (Kingma and Welling, 2014).
"""

from __future__ import annotations

from torch import Tensor, nn

from residua.training.networks.base import AutoencoderNetwork, NetworkAround


class VariationalAutoencoder(NetworkAround):
    """Around any network: its code is a Gaussian's mean, a second head its log-variances."""

    def __init__(self, base: AutoencoderNetwork) -> None:
        super().__init__(base)
        self.to_log_variance = nn.Linear(base.to_code.in_features, base.latent)

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances (in -10 to 10) of the codes, (batch, latent) each."""
        features = self.features(images)
        return self.base.to_code(features), self.to_log_variance(features).clamp(-10, 10)

    def describe(self) -> str:
        """The base network's words."""
        return f"variational, {self.base.describe()}"
