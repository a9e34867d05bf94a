"""`feature`: an autoencoder on the features of a frozen backbone, with a noisy bottleneck and a cosine error.

After Dinomaly (Guo et al., 2025): who has to rebuild features through noise rebuilds what training showed, and no more.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from pydantic import Field, field_validator
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from residua.models import ImageShape
from residua.models.backbones import build_backbone, check_backbone, fetch_weights, register_backbone
from residua.models.feature import FeatureAutoencoder
from residua.recipes.base import Recipe, Schedule
from residua.recipes.reconstructing import with_density
from residua.scoring.density import Density
from residua.scoring.scorer import Scorer, ScorerOutput

__all__ = ["Feature", "FeatureScorer", "register_backbone"]

_WIDTH = 64


class Feature(Recipe):
    """Rebuild a frozen backbone's feature maps; a place's cosine distance is its error, an image's that of its worst places.

    To the image's error comes the density of its features, averaged over a few cells (``density``; empty for the error
    alone): black or dimmed places are easy to rebuild, but an image of nothing else is far from all normal ones.

    ``backbone`` is ``timm:NAME``, ``huggingface:NAME``, a name given to `register_backbone`, or ``random-conv``, a stand-in
    with random weights. ``latent`` is the width of the bottleneck at each place, ``noise`` the share of it that is dropped
    in training. ``levels`` chooses among the backbone's maps, ``side`` resizes what it sees to a square, ``normalise`` takes
    off ImageNet's mean and deviation. ``top`` is the share of the map's pixels that the score is the mean of.
    """

    name: ClassVar[str] = "feature"
    summary: ClassVar[str] = (
        "rebuilds the features of a frozen backbone that you bring; scored by its worst places and by density"
    )
    cost: ClassVar[str] = "the backbone's forward pass, at each step"
    good_for: ClassVar[str] = "textures and parts, with a pretrained backbone; the default one is a random stand-in"
    schedule: ClassVar[Schedule] = Schedule(steps=1000, epochs=(5, 100), batch_size=32, keep="last")
    default_side: ClassVar[int] = 256

    latent: int | None = Field(default=_WIDTH, ge=1)
    backbone: str = "random-conv"
    levels: tuple[int, ...] | None = None
    side: int | None = Field(default=None, ge=8, le=4096)
    normalise: bool = True
    noise: float = Field(default=0.2, ge=0, lt=1)
    top: float = Field(default=0.01, gt=0, le=1)
    density: tuple[Density, ...] = ("mahalanobis",)

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        check_backbone(name)
        return name

    def build_network(self, shape: ImageShape) -> nn.Module:
        """The backbone's architecture (`load_pretrained` fetches its weights) and a fresh autoencoder of its features."""
        backbone = build_backbone(self.backbone, pretrained=False)
        options: dict[str, Any] = {"levels": self.levels, "side": self.side, "normalise": self.normalise}
        return FeatureAutoencoder(backbone, shape, self.latent or _WIDTH, **options)

    def load_pretrained(self, network: nn.Module) -> None:
        """Fetch the backbone's published weights."""
        fetch_weights(network.backbone, self.backbone)  # type: ignore[arg-type]

    def loss(self, network: nn.Module, images: Tensor, generator: Generator) -> Tensor:
        """Mean cosine distance, and beside it the squared error of the picture drawn from the code."""
        features: Any = network
        targets = features.targets(images)
        narrow = features.squeeze(targets)
        distance = features.distances(features.rebuild(self.drop(narrow, generator)), targets).mean()
        picture = features.decode(features.pool(targets))
        return distance + F.mse_loss(picture.float(), images)

    def drop(self, narrow: Tensor, generator: Generator) -> Tensor:
        """The bottleneck with a share of its numbers set to 0 and the others raised to make up for it."""
        kept = (torch.rand(narrow.shape, generator=generator) >= self.noise).to(narrow)
        return narrow * kept / (1 - self.noise)

    def build_scorer(self, network: nn.Module) -> Scorer:
        """Distances, brought to the image's size; add densities where asked for."""
        return with_density(FeatureScorer(network, self.top), self.density, network)

    def describe(self, network: nn.Module) -> str:
        """The network, and what its backbone is."""
        stand_in = " (random weights: a stand-in, bring a pretrained backbone)" if self.backbone == "random-conv" else ""
        return f"{super().describe(network)}, {self.backbone}{stand_in}"


class FeatureScorer(Scorer):
    """Score = mean of the largest ``top`` share of the map, at least one pixel; the map is cosine distance, 0 to 2."""

    def __init__(self, network: nn.Module, top: float) -> None:
        super().__init__()
        self.network, self.top = network, top

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images."""
        network: Any = self.network
        targets = network.targets(images)
        places = network.distances(network.rebuild(network.squeeze(targets)), targets)
        error_map = F.interpolate(places[:, None], size=images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
        most = max(1, math.ceil(self.top * error_map[0].numel()))
        score = error_map.flatten(1).topk(most, dim=1).values.mean(1)
        return ScorerOutput(score, error_map, network.decode(network.pool(targets)).clamp(0, 1))
