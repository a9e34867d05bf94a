"""`plain`: the same encoder and head with no reconstruction at all.

The control without which the others mean nothing.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Generator, Tensor, nn

from residua.training.networks import ClassifierNetwork, ImageShape
from residua.training.recipes.base import LabelledBatch
from residua.training.strategies.base import Phase, Strategy, as_labelled


class Plain(Strategy):
    """Cross-entropy alone; unlabelled images are left out, nothing reconstructs."""

    name: ClassVar[str] = "plain"
    summary: ClassVar[str] = "the same encoder and head without reconstruction: the control"
    cost: ClassVar[str] = "the least per step"
    good_for: ClassVar[str] = "knowing whether the autoencoder helped"
    uses_unlabelled: ClassVar[bool] = False

    def build_network(self, shape: ImageShape) -> nn.Module:
        """A fresh network without a decoder."""
        return ClassifierNetwork(
            shape, self.code_size, self.n_logits, width=self.width, decoder=False
        )

    def phases(self) -> tuple[Phase, ...]:
        """One, on the labelled images."""
        return (Phase("classifier", 1.0, self.loss, uses="labelled"),)

    def loss(
        self, network: nn.Module, images: Tensor | LabelledBatch, generator: Generator
    ) -> Tensor:
        """Cross-entropy alone."""
        batch = as_labelled(images)
        logits, _ = network.heads(self.spoilt(network, batch.images, generator))  # type: ignore[operator]
        return self.cross_entropy(logits, batch.targets)
