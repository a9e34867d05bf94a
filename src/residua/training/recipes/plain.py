"""`plain`: an autoencoder trained to reproduce its input, scored by how badly it does.

The baseline of the field.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Generator, Tensor, nn

from residua.training.recipes.reconstruction import ReconstructionRecipe, reconstruction_loss


class Plain(ReconstructionRecipe):
    """Reproduce the input; a pixel's error is its score, an image's score the mean over pixels."""

    name: ClassVar[str] = "plain"
    summary: ClassVar[str] = "an autoencoder, scored by its reconstruction error"
    cost: ClassVar[str] = "seconds to two minutes on two cores at 28x28"
    good_for: ClassVar[str] = "reconstruction; as a detector it is the baseline to beat"

    def loss(self, network: nn.Module, images: Tensor, generator: Generator) -> Tensor:
        """Mean error of the reconstruction, over pixels and images."""
        return reconstruction_loss(self.loss_name, network(images), images)
