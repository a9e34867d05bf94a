"""`fine-tune`: as `sequential`, with the encoder released in the second phase."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from residua.training.strategies.base import Phase
from residua.training.strategies.sequential import Sequential

_SLOWER = 0.5  # times the learning rate of the first phase


class FineTune(Sequential):
    """First the reconstruction of all images, then cross-entropy on the labelled ones.

    The second phase trains the whole encoder.

    The second phase learns at half the rate. Its encoder moves away from the decoder, so what is
    reconstructed afterwards is worse than after the first phase, and is judged as it is.
    """

    name: ClassVar[str] = "fine-tune"
    summary: ClassVar[str] = "the autoencoder first, then the classifier through the whole encoder"
    cost: ClassVar[str] = "the classifier's"
    good_for: ClassVar[str] = "few labels and many unlabelled images"

    pretraining: float = Field(default=0.4, gt=0, lt=1)

    def phases(self) -> tuple[Phase, ...]:
        """The autoencoder, then both encoder and head."""
        slower = replace(self.schedule, learning_rate=_SLOWER * self.schedule.learning_rate)
        return (
            Phase("autoencoder", self.pretraining, self.reconstruction_loss),
            Phase("classifier", 1 - self.pretraining, self.loss, uses="labelled", schedule=slower),
        )
