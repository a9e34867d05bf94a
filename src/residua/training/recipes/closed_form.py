"""What the recipes without training have in common: all numbers follow from the images at once."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar, Never

from torch import Generator, Tensor, nn

from residua.errors import TrainingError
from residua.training.networks import ImageShape
from residua.training.recipes.base import Recipe

_MOST_IMAGES = 10_000


class ClosedFormRecipe(Recipe, ABC):
    """A recipe whose scorer finds everything in `fit`: no steps and no loss.

    It learns from at most `most_images` of the training images, drawn by the seed. One that
    `holds_out` needs a validation slice, to see how it scores what it has not kept.
    """

    is_closed_form: ClassVar[bool] = True
    holds_out: ClassVar[bool] = False

    def most_images(self, shape: ImageShape) -> int:
        """How many images of `shape` it learns from at most."""
        return _MOST_IMAGES

    def loss(self, network: nn.Module, images: Tensor, generator: Generator) -> Never:
        """Refused: there is nothing to minimise."""
        raise TrainingError(
            f"recipe {self.name}: a loss belongs to a recipe that is trained in steps. This one is"
            " computed from the images. Name another recipe."
        )
