"""How far an image lies from the nearest training images, pixel by pixel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from residua.errors import InputError
from residua.training.networks import ImageShape
from residua.training.scoring import error_maps
from residua.training.scoring.bank import Bank
from residua.training.scoring.image_list import at_once
from residua.training.scoring.scorer import Scorer, ScorerOutput

_CHUNK = 256  # images at a time


class ImageBank(Bank):
    """A bank of images of one `shape`."""

    no_code = "it keeps training images and no code of them"

    def __init__(self, shape: ImageShape, *, n_nearest: int) -> None:
        super().__init__(shape.n_values, n_nearest=n_nearest)
        self.shape = shape


class NeighbourScorer(Scorer):
    """Score = mean distance to the nearest images of the bank, as the baseline has it.

    The nearest image is the reconstruction, and the squared difference to it the map.
    """

    def __init__(self, network: ImageBank) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images by their distance to the bank."""
        found, shape = self.network(images.flatten(1)), self.network.shape
        size = (shape.channels, shape.height, shape.width)
        nearest = found.vectors.unflatten(1, size).clamp(0, 1)
        return ScorerOutput(found.distances.mean(1), error_maps.squared(images, nearest), nearest)

    def encode(self, images: Tensor) -> Tensor:
        """Refused: the nearest image is looked up, not decoded from numbers."""
        raise InputError(
            "transform: the model must have a latent vector. The recipe neighbours has none: it"
            " looks up the nearest image. Use the recipe pca."
        )

    def remember(self, images: Tensor) -> None:
        """Keep more images, of another product; scores of all others can only fall."""
        network = self.network
        network.kept = torch.cat([network.kept, _flat(images) - network.centre])
        network.squares = network.kept.square().sum(1)

    def fit(self, train: Tensor, held_out: Tensor) -> None:
        """Keep the training images; held-out ones are not looked at."""
        self.network.fit(_flat(train))


def _flat(images: Any) -> Tensor:
    chunks = images.split(at_once(images, _CHUNK))
    return torch.cat([chunk.flatten(1) for chunk in chunks])
