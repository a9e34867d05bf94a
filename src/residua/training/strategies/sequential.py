"""`sequential`: train the autoencoder, drop the decoder, put a classifier on the code.

The encoder stays as it is.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from torch import Generator, Tensor, nn

from residua.training.recipes.base import LabelledBatch
from residua.training.strategies.base import Phase, Strategy, as_labelled
from residua.training.strategies.losses import Distance, distance


def freeze(network: Any) -> None:
    """Keep the encoder and the decoder as they are."""
    network.freeze_encoder()


class Sequential(Strategy):
    """First the reconstruction of all images, labelled or not.

    Then cross-entropy on the labelled ones, the encoder frozen.

    ``pretraining`` is the share of the steps that goes to the autoencoder. The decoder is kept for
    the record of the reconstruction; the classifier does not use it.
    """

    name: ClassVar[str] = "sequential"
    summary: ClassVar[str] = (
        "the autoencoder first, then a classifier on its latent vector, the encoder frozen"
    )
    cost: ClassVar[str] = "less than the classifier's: the second phase leaves the encoder alone"
    good_for: ClassVar[str] = (
        "measuring a latent vector trained without labels; the weakest classifier of the five"
    )

    distance: Distance = "squared"
    pretraining: float = Field(default=0.6, gt=0, lt=1)

    def phases(self) -> tuple[Phase, ...]:
        """The autoencoder, then the classifier."""
        return (
            Phase("autoencoder", self.pretraining, self.reconstruction_loss),
            Phase("classifier", 1 - self.pretraining, self.loss, uses="labelled", begin=freeze),
        )

    def reconstruction_loss(
        self, network: nn.Module, images: Tensor | LabelledBatch, generator: Generator
    ) -> Tensor:
        """Distance alone."""
        batch = as_labelled(images)
        codes = network.encode(self.spoilt(network, batch.images, generator))  # type: ignore[operator]
        return distance(self.distance, network.decode(codes), batch.images)  # type: ignore[operator]

    def loss(
        self, network: nn.Module, images: Tensor | LabelledBatch, generator: Generator
    ) -> Tensor:
        """Cross-entropy alone."""
        batch = as_labelled(images)
        codes = network.encode(self.spoilt(network, batch.images, generator))  # type: ignore[operator]
        return self.cross_entropy(network.classify(codes), batch.targets)  # type: ignore[operator]
