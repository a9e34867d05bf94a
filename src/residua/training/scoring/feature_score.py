"""Scores on a backbone's feature maps: those of a memory, and how badly the maps are rebuilt."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from residua.training.networks.feature import FeatureAutoencoder
from residua.training.scoring.memory_score import MemoryScorer
from residua.training.scoring.places import Places, highest, smooth_places, tamed
from residua.training.scoring.scorer import Scorer, ScorerOutput, View

PlacedPart = Literal["error", "neighbours"]
"""Parts that say where."""
Part = PlacedPart | Literal["density"]

PLACED_PARTS: tuple[PlacedPart, ...] = get_args(PlacedPart)
MEMORY_PARTS: tuple[Part, ...] = ("neighbours", "density")


class FeatureScorer(MemoryScorer):
    """The sum of the named parts, each standardised on held-out normals as `MemoryScorer` does.

    ``neighbours`` and ``density`` are what a memory with the same backbone scores by: places far
    from all that are kept, and the image as a whole. ``error``: the cosine distance between what
    the backbone sees at a place and what is rebuilt, averaged over 3 x 3 places. The map is the sum
    of the parts that have one.
    """

    def __init__(
        self,
        network: FeatureAutoencoder,
        *,
        parts: tuple[Part, ...],
        size: int,
        tops: tuple[float, ...],
        even: bool,
    ) -> None:
        super().__init__(network, size=size, tops=tops, even=even, pictures=False)
        self.parts = parts
        self.placed = tuple(part for part in PLACED_PARTS if part in parts)
        n_scores = len(self.placed) * len(tops) + ("density" in parts)
        self.places = Places(len(self.placed))
        self.image_centre, self.image_spread = torch.zeros(n_scores), torch.ones(n_scores)

    def view(self, images: Tensor) -> View:
        """Scores, and the backbone's maps."""
        features = self._features(images)
        maps = self.places(self._distances(features))
        scores = self._image_scores(maps, self._pooled(features))
        error_map = F.interpolate(
            maps.sum(1, keepdim=True), size=images.shape[2:], mode="bilinear", align_corners=False
        )[:, 0]
        score = tamed((scores - self.image_centre) / self.image_spread).sum(1)
        picture = self.decode(self._code(features))
        return View(ScorerOutput(score, error_map, picture), features)

    def encode(self, images: Tensor) -> Tensor:
        """Codes of prepared images, (batch, latent)."""
        return self._code(self._features(images))

    decode = Scorer.decode

    def _code(self, features: Tensor) -> Tensor:
        return self.network.pool(features)  # type: ignore[operator,no-any-return]

    def _distances(self, features: Tensor) -> Tensor:
        """The parts that say where, as they come: (batch, n_placed, rows, columns)."""
        network: Any = self.network
        maps = []
        if "error" in self.placed:
            rebuilt = network.rebuild(network.squeeze(features))
            maps.append(smooth_places(network.distances(rebuilt, features)[:, None]))
        if "neighbours" in self.placed:
            maps.append(super()._distances(features))
        return torch.cat(maps, dim=1)

    def _image_scores(self, maps: Tensor, codes: Tensor) -> Tensor:
        """The highest places of each map, and the whole: (batch, n_scores)."""
        scores = [highest(one, top) for one in maps.unbind(1) for top in self.tops]
        if "density" in self.parts:
            scores.append(self.gaussian(codes).sqrt())
        return torch.stack(scores, dim=1)
