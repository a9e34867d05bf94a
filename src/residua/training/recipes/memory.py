"""`memory`: the features of a pretrained backbone, kept for normal images and looked up for others.

After PatchCore (Roth et al., 2022): nothing is trained.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field
from torch import nn

from residua.images.resize import Sides
from residua.records import Job
from residua.training.networks import ImageShape
from residua.training.networks.backbones import (
    build_backbone,
    check_backbone,
    fetch_weights,
    values_of,
)
from residua.training.networks.feature import FeatureMaps
from residua.training.recipes.closed_form import ClosedFormRecipe
from residua.training.scoring.memory_score import SIZE, TOPS, MemoryScorer
from residua.training.scoring.scorer import Scorer


class Memory(ClosedFormRecipe):
    """Keep what a frozen backbone sees of normal images, and score others by what is not like it.

    ``backbone``, ``levels`` and ``side`` are those of `feature`. ``size`` is how many feature
    vectors are kept. ``tops`` are the shares of the places whose means are summed in the score.
    With ``even``, all images are brought to one brightness and contrast first, so that exposure is
    no anomaly; the training images decide unless it is said. See
    `residua.training.scoring.memory_score.MemoryScorer`.
    """

    name: ClassVar[str] = "memory"
    summary: ClassVar[str] = (
        "keeps features of a pretrained backbone; scored by the places unlike any of them"
    )
    cost: ClassVar[str] = "15 seconds for 300 images: nothing is trained; about 40 ms per image"
    good_for: ClassVar[str] = "small defects on photographs of parts and surfaces, from 64 px up"
    jobs: ClassVar[tuple[Job, ...]] = ("detect",)
    sides: ClassVar[Sides] = Sides(256, smallest=48, largest=448, enlarged=64)
    holds_out: ClassVar[bool] = True

    latent: None = None
    backbone: Annotated[str, AfterValidator(check_backbone)] = "lite0"
    levels: tuple[int, ...] | None = None
    side: int | None = Field(default=None, ge=8, le=4096)
    size: int = Field(default=SIZE, ge=1, le=100_000)
    tops: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(default=TOPS, min_length=1)
    even: bool | None = None

    @property
    def keeps_images(self) -> bool:
        """Their features are kept."""
        return True

    def build_network(self, shape: ImageShape) -> nn.Module:
        """The backbone's architecture; `load_pretrained` fetches its weights."""
        backbone = build_backbone(self.backbone, pretrained=False)
        options: dict[str, Any] = {"levels": self.levels, "side": self.side}
        return FeatureMaps(backbone, shape, values=values_of(self.backbone, backbone), **options)

    def load_pretrained(self, network: nn.Module) -> None:
        """Fetch the backbone's published weights."""
        fetch_weights(network.backbone, self.backbone)  # type: ignore[arg-type]

    def build_scorer(self, network: nn.Module) -> Scorer:
        """The memory, empty until it is fitted."""
        return MemoryScorer(network, size=self.size, tops=self.tops, even=self.even)  # type: ignore[arg-type]

    def describe(self, network: nn.Module) -> str:
        """What is looked up in what."""
        return f"memory of up to {self.size:,} vectors of {network.describe()}, {self.backbone}"  # type: ignore[operator]
