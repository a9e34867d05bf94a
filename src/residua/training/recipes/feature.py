"""`feature`: an autoencoder on the features of a frozen backbone, and a memory of them.

It has a noisy bottleneck and a cosine error.

After Dinomaly (Guo et al., 2025): who has to rebuild features through noise rebuilds what training
showed, and no more.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, ClassVar

import torch
from pydantic import AfterValidator, Field
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from residua.images.resize import Sides
from residua.training.networks import ImageShape
from residua.training.networks.backbones import (
    PLAIN,
    build_backbone,
    check_backbone,
    fetch_weights,
    register_backbone,
    values_of,
)
from residua.training.networks.feature import FeatureAutoencoder
from residua.training.recipes.base import Recipe, Schedule
from residua.training.scoring.feature_score import MEMORY_PARTS, PLACED_PARTS, FeatureScorer, Part
from residua.training.scoring.memory_score import SIZE, TOPS, even_light
from residua.training.scoring.places import check_parts
from residua.training.scoring.scorer import Scorer

__all__ = ["Feature", "register_backbone"]

_WIDTH = 64
_CHECK = partial(check_parts, placed=PLACED_PARTS)


class Feature(Recipe):
    """Rebuild a frozen backbone's feature maps, and score as the recipe `memory` does.

    So a memory has codes and pictures. ``parts`` says what the score is the sum of: ``neighbours``
    and ``density`` are the memory's, ``error`` is the cosine distance of a place to what is
    rebuilt; see `residua.training.scoring.feature_score.FeatureScorer`.

    ``backbone`` is ``lite0``, ``lite2``, ``timm:NAME``, ``huggingface:NAME``, a name given to
    `register_backbone`, or ``random-conv``, a stand-in with random weights. ``latent`` is the width
    of the bottleneck at each place, ``noise`` the share of it that is dropped in training.
    ``levels`` chooses among the backbone's maps, ``side`` resizes what it sees to a square. Images
    are brought to the values that the backbone takes; ``normalise`` of False leaves them in [0, 1].
    ``size``, ``tops`` and ``even`` are those of the recipe `memory`; here `even` is not decided by
    the images.
    """

    name: ClassVar[str] = "feature"
    summary: ClassVar[str] = (
        "reconstructs the features of a frozen backbone; scored as memory, with a latent vector and"
        " pictures beside it"
    )
    cost: ClassVar[str] = "the backbone's forward pass, at each step"
    good_for: ClassVar[str] = (
        "textures and parts, with pretrained weights; the default backbone has random weights"
    )
    schedule: ClassVar[Schedule] = Schedule(steps=600, epochs=(5, 100), batch_size=16, keep="last")
    sides: ClassVar[Sides] = Sides(256)

    latent: int | None = Field(default=_WIDTH, ge=1)
    backbone: Annotated[str, AfterValidator(check_backbone)] = "random-conv"
    levels: tuple[int, ...] | None = None
    side: int | None = Field(default=None, ge=8, le=4096)
    normalise: bool | None = None
    noise: float = Field(default=0.2, ge=0, lt=1)
    size: int = Field(default=SIZE, ge=1, le=100_000)
    tops: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(default=TOPS, min_length=1)
    even: bool = True
    parts: Annotated[tuple[Part, ...], AfterValidator(_CHECK)] = MEMORY_PARTS

    @property
    def keeps_images(self) -> bool:
        """Their features are kept."""
        return "neighbours" in self.parts

    def build_network(self, shape: ImageShape) -> nn.Module:
        """The backbone, its weights not fetched yet, and a fresh autoencoder of its features."""
        backbone = build_backbone(self.backbone, pretrained=False)
        options: dict[str, Any] = {
            "levels": self.levels,
            "side": self.side,
            "values": PLAIN if self.normalise is False else values_of(self.backbone, backbone),
        }
        return FeatureAutoencoder(backbone, shape, self.latent or _WIDTH, **options)

    def load_pretrained(self, network: nn.Module) -> None:
        """Fetch the backbone's published weights."""
        fetch_weights(network.backbone, self.backbone)  # type: ignore[arg-type]

    def loss(self, network: Any, images: Tensor, generator: Generator) -> Tensor:
        """Mean cosine distance, plus the squared error of the picture drawn from the latent."""
        targets = network.targets(even_light(images) if self.even else images)
        narrow = network.squeeze(targets)
        distance = network.distances(network.rebuild(self.drop(narrow, generator)), targets).mean()
        return distance + F.mse_loss(network.decode(network.pool(targets)).float(), images)

    def drop(self, narrow: Tensor, generator: Generator) -> Tensor:
        """The bottleneck with a share of its numbers set to 0, the others raised for it."""
        kept = (torch.rand(narrow.shape, generator=generator) >= self.noise).to(narrow)
        return narrow * kept / (1 - self.noise)

    def build_scorer(self, network: nn.Module) -> Scorer:
        """The named parts, standardised and summed."""
        return FeatureScorer(
            network,  # type: ignore[arg-type]
            parts=self.parts,
            size=self.size,
            tops=self.tops,
            even=self.even,
        )

    def describe(self, network: nn.Module) -> str:
        """The network, and what its backbone is."""
        stand_in = (
            " (random weights: a stand-in, bring a pretrained backbone)"
            if self.backbone == "random-conv"
            else ""
        )
        return f"{super().describe(network)}, {self.backbone}{stand_in}"
