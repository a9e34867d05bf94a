"""Scores on a backbone's feature maps.

How badly they are rebuilt, how far they lie from those seen, and the density of all.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from residua.training.networks.feature import FeatureAutoencoder
from residua.training.scoring.density import Gaussian, Nearest, some_vectors
from residua.training.scoring.image_list import Images, chunks_of, every
from residua.training.scoring.places import Places, highest, tamed
from residua.training.scoring.scorer import Scorer, ScorerOutput, View, add_buffers

PlacedPart = Literal["error", "neighbours"]
"""Parts that say where."""
Part = PlacedPart | Literal["density"]

PLACED_PARTS: tuple[PlacedPart, ...] = get_args(PlacedPart)
PARTS: tuple[Part, ...] = (*PLACED_PARTS, "density")

_CHUNK = 32
_MOST_IN_BANK = 300
_MOST_TRAINING = _MOST_HELD_OUT = 2000
_TINY = 1e-6


class FeatureScorer(Scorer):
    """The sum of the named parts, each standardised on held-out normals.

    What lies far out counts by its logarithm.

    ``error``: cosine distance between what the backbone sees at a place and what is rebuilt.
    ``neighbours``: the distance of the place's features, whitened, to the nearest of 1,000 of
    training images; see `residua.training.scoring.density`. Both are averaged over 3 x 3 places,
    taken in units of what is usual there, and an image's score is the mean of the highest ``top``
    of them. ``density``: the Mahalanobis distance of the features averaged over a few cells
    (Ledoit-Wolf covariance); it has no place in the map, which is the sum of the others.
    """

    image_mean: Tensor
    image_spread: Tensor

    def __init__(self, network: FeatureAutoencoder, parts: tuple[Part, ...], top: float) -> None:
        super().__init__()
        self.network, self.parts, self.top = network, parts, top
        self.placed = tuple(part for part in parts if part in PLACED_PARTS)
        self.nearest = Nearest(sum(network.channels))
        self.places = Places(len(self.placed))
        self.gaussian = Gaussian(network.latent)
        add_buffers(self, image_mean=torch.zeros(len(parts)), image_spread=torch.ones(len(parts)))

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images."""
        return self.view(images).output

    def view(self, images: Tensor) -> View:
        """Scores, and the backbone's maps."""
        targets = self.network.targets(images)
        maps, codes = self.places(self._maps(targets)), self.network.pool(targets)
        score = tamed((self._image_scores(maps, codes) - self.image_mean) / self.image_spread).sum(
            1
        )
        error_map = F.interpolate(
            maps.sum(1, keepdim=True), size=images.shape[2:], mode="bilinear", align_corners=False
        )[:, 0]
        output = ScorerOutput(score, error_map, self.network.decode(codes).clamp(0, 1))
        return View(output, targets)

    def fit(self, train: Images, held_out: Images) -> None:
        """Neighbours and density from training images, what is usual from held-out ones."""
        generator = torch.Generator().manual_seed(0)
        if "neighbours" in self.parts:
            some = chunks_of(every(train, -(-len(train) // _MOST_IN_BANK)), _CHUNK)
            self.nearest.fit(
                torch.cat(
                    [
                        some_vectors(smooth_places(self.network.targets(chunk)), generator)
                        for chunk in some
                    ]
                )
            )
        if "density" in self.parts:
            many = chunks_of(every(train, -(-len(train) // _MOST_TRAINING)), _CHUNK)
            self.gaussian.fit(torch.cat([self.encode(chunk) for chunk in many]))
        maps, codes = self._seen(every(held_out, -(-len(held_out) // _MOST_HELD_OUT)))
        self.places.fit(maps.split(_CHUNK))
        scores = self._image_scores(self.places(maps), codes)
        self.image_mean = scores.mean(0)
        self.image_spread = scores.std(0, correction=0).clamp(min=_TINY)

    def _seen(self, images: Images) -> tuple[Tensor, Tensor]:
        """Maps and codes of many images; their features are many times as large."""
        seen = []
        for chunk in chunks_of(images, _CHUNK):
            targets = self.network.targets(chunk)
            seen.append((self._maps(targets), self.network.pool(targets)))
        maps, codes = zip(*seen, strict=True)
        return torch.cat(maps), torch.cat(codes)

    def _maps(self, targets: Tensor) -> Tensor:
        """The parts that say where, as they come: (batch, n_placed, rows, columns)."""
        network = self.network
        made = {
            "error": lambda: smooth_places(
                network.distances(network.rebuild(network.squeeze(targets)), targets)[:, None]
            ),
            "neighbours": lambda: smooth_places(self.nearest(smooth_places(targets))),
        }
        return torch.cat([made[part]() for part in self.placed], dim=1)

    def _image_scores(self, maps: Tensor, codes: Tensor) -> Tensor:
        """Every part of each image, (batch, n_parts), from its standardised maps and its code."""
        found = dict(zip(self.placed, maps.unbind(1), strict=True))
        whole = self.gaussian(codes)
        return torch.stack(
            [highest(found[part], self.top) if part in found else whole for part in self.parts],
            dim=1,
        )


def smooth_places(maps: Tensor) -> Tensor:
    """Every place averaged with its neighbours, those that there are."""
    return F.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)
