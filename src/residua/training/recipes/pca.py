"""`pca`: the best linear autoencoder, computed from the images.

The baseline of the same name, as a model.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from residua.training.networks import ImageShape, default_latent
from residua.training.networks.principal import PrincipalNetwork
from residua.training.recipes.closed_form import ClosedFormRecipe
from residua.training.scoring.principal import PrincipalScorer
from residua.training.scoring.scorer import Scorer

_IMAGES_EACH = 3


class Pca(ClosedFormRecipe):
    """Project on the principal components of the training images, and score what is left.

    ``latent`` is the number of components; without it, about a 25th of the values, 4 to 128, as
    for `plain`, and at most a third of the number of images: as many components as images would
    remember each of them. Images that show fewer directions give fewer.
    """

    name: ClassVar[str] = "pca"
    summary: ClassVar[str] = (
        "principal components, the best linear autoencoder; scored by the squared residual"
    )
    cost: ClassVar[str] = "a second or a few: computed, not trained"
    good_for: ClassVar[str] = "parts in one position; what every trained network has to beat"
    blind_to: ClassVar[tuple[str, ...]] = ("black", "dimmed", "simpler")

    latent: int | None = Field(default=None, ge=1)

    def build_network(self, shape: ImageShape) -> nn.Module:
        """A network without components: `PrincipalScorer.fit` finds them."""
        if self.latent is not None:
            return PrincipalNetwork(shape, self.latent)
        return PrincipalNetwork(shape, default_latent(shape), images_each=_IMAGES_EACH)

    def build_scorer(self, network: nn.Module) -> Scorer:
        """The squared residual."""
        return PrincipalScorer(network)  # type: ignore[arg-type]
