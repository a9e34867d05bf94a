"""`neighbours`: the distance to the nearest training images, pixel by pixel.

The baseline of the same kind, as a model.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from torch import nn

from residua.images.resize import Sides
from residua.records import Job
from residua.training.networks import ImageShape
from residua.training.recipes.closed_form import ClosedFormRecipe
from residua.training.scoring.neighbour_score import ImageBank, NeighbourScorer
from residua.training.scoring.scorer import Scorer

_MOST_VALUES = 2**24  # of a bank: 64 MB
_FEWEST = 64


class Neighbours(ClosedFormRecipe):
    """Keep the training images, and score others by the mean distance to the nearest.

    ``nearest`` is how many of them count. The bank holds at most 10,000 images and 64 MB.
    """

    name: ClassVar[str] = "neighbours"
    summary: ClassVar[str] = (
        "keeps training images; scored by the distance to the nearest, pixel by pixel"
    )
    cost: ClassVar[str] = "a second: nothing is trained; the model is up to 64 MB"
    good_for: ClassVar[str] = "small images of objects; what every trained network has to beat"
    blind_to: ClassVar[tuple[str, ...]] = ("dimmed", "simpler")
    jobs: ClassVar[tuple[Job, ...]] = ("detect",)
    sides: ClassVar[Sides] = Sides(64)

    latent: None = None
    nearest: int = Field(default=5, ge=1, le=1000)

    def most_images(self, shape: ImageShape) -> int:
        """As many as the bank may hold."""
        return min(super().most_images(shape), max(_FEWEST, _MOST_VALUES // shape.n_values))

    @property
    def keeps_images(self) -> bool:
        """Training images are all that it knows."""
        return True

    def build_network(self, shape: ImageShape) -> nn.Module:
        """An empty bank: `NeighbourScorer.fit` fills it."""
        return ImageBank(shape, n_nearest=self.nearest)

    def build_scorer(self, network: nn.Module) -> Scorer:
        """The mean distance to the nearest."""
        return NeighbourScorer(network)  # type: ignore[arg-type]

    def describe(self, network: Any) -> str:
        """How many images are kept, and how many count."""
        return f"bank of {len(network):,} images, of which the nearest {self.nearest} count"
