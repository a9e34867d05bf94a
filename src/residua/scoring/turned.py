"""Scores over the four quarter turns of an image: restoration error, and density of pooled feature maps."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from residua.models import JointNetwork
from residua.scoring import error_maps
from residua.scoring.image_list import chunks_of
from residua.scoring.scorer import Scorer, ScorerOutput

Part = Literal["mahalanobis", "mahalanobis_max", "neighbours", "restoration"]

N_TURNS = 4
_MOST_CODES = 2000
_NEIGHBOURS = 2
_CHUNK = 250


class _Codes(NamedTuple):
    """Per turn and image: mean- and max-pooled maps (turns, batch, d); quarters (batch, turns * 4d); restorations."""

    mean: Tensor
    most: Tensor
    quarters: Tensor
    error_map: Tensor
    reconstruction: Tensor


class TurnedScorer(Scorer):
    """The sum of the named parts, each standardised on held-out normals.

    ``mahalanobis``, ``mahalanobis_max``: Mahalanobis distance (Ledoit-Wolf covariance, one for each turn) of mean- and of
    max-pooled feature maps, averaged over the turns. ``neighbours``: cosine distance of the maps pooled by quarters, all
    turns side by side, to the two nearest of at most 2,000 training images. ``restoration``: mean squared error of the
    upright image restored from each turn (from its grey copy where there is colour).
    """

    mean_centre: Tensor
    mean_whitening: Tensor
    most_centre: Tensor
    most_whitening: Tensor
    bank: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, network: JointNetwork, parts: tuple[Part, ...]) -> None:
        super().__init__()
        self.network, self.parts = network, parts
        d = network.base.n_maps
        for name in ("mean", "most"):
            self.register_buffer(f"{name}_centre", torch.zeros(N_TURNS, 1, d))
            self.register_buffer(f"{name}_whitening", torch.eye(d).repeat(N_TURNS, 1, 1))
        self.register_buffer("bank", torch.zeros(1, N_TURNS * d * network.base.quarter_pooling.shape[1]))
        self.register_buffer("centre", torch.zeros(len(parts)))
        self.register_buffer("spread", torch.ones(len(parts)))

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images by the sum of the standardised parts."""
        codes = self._codes(images)
        score = ((self._parts(codes) - self.centre) / self.spread).sum(1)
        return ScorerOutput(score, codes.error_map, codes.reconstruction)

    def fit(self, train: Tensor, held_out: Tensor) -> None:
        """Covariances and neighbours from training images, the scale of each part from held-out ones."""
        chunks = [self._codes(chunk) for chunk in chunks_of(train, _CHUNK)]
        for name, codes in (
            ("mean", torch.cat([chunk.mean for chunk in chunks], 1)),
            ("most", torch.cat([chunk.most for chunk in chunks], 1)),
        ):
            fitted = [centre_and_whitening(one) for one in codes]
            setattr(self, f"{name}_centre", torch.stack([centre for centre, _ in fitted])[:, None])
            setattr(self, f"{name}_whitening", torch.stack([whitening for _, whitening in fitted]))
        quarters = torch.cat([chunk.quarters for chunk in chunks])
        self.bank = F.normalize(quarters[:: -(-len(quarters) // _MOST_CODES)], dim=1)
        parts = torch.cat([self._parts(self._codes(chunk)) for chunk in chunks_of(held_out, _CHUNK)])
        self.centre = parts.mean(0)
        self.spread = parts.std(0, correction=0).clamp(min=1e-12)

    def _codes(self, images: Tensor) -> _Codes:
        base = self.network.base
        means, maxima, quarters, maps, restored = [], [], [], [], []
        for turn in range(N_TURNS):
            view = quarter_turn(images, turn)
            features = base.maps(view)
            means.append(features.mean((2, 3)))
            maxima.append(features.flatten(2).amax(2))
            quarters.append(base.quarter_features(features))
            if images.shape[1] > 1:
                features = base.maps(view.mean(1, keepdim=True).expand_as(view))
            restoration = base.decode(base.to_code(base.grid_features(features))).clamp(0, 1)
            maps.append(error_maps.squared(images, restoration))
            restored.append(restoration)
        error_map = torch.stack(maps).mean(0)
        return _Codes(torch.stack(means), torch.stack(maxima), torch.cat(quarters, 1), error_map, restored[0])

    def _parts(self, codes: _Codes) -> Tensor:
        made = {
            "mahalanobis": lambda: _mahalanobis(codes.mean, self.mean_centre, self.mean_whitening),
            "mahalanobis_max": lambda: _mahalanobis(codes.most, self.most_centre, self.most_whitening),
            "neighbours": lambda: self._neighbours(codes.quarters),
            "restoration": lambda: codes.error_map.mean((1, 2)),
        }
        return torch.stack([made[part]() for part in self.parts], dim=1)

    def _neighbours(self, quarters: Tensor) -> Tensor:
        similarity = F.normalize(quarters, dim=1) @ self.bank.T
        nearest = similarity.topk(min(_NEIGHBOURS, len(self.bank)), dim=1).values.mean(1)
        return (2 - 2 * nearest).clamp(min=0).sqrt()


def quarter_turn(images: Tensor, turn: int) -> Tensor:
    """Turn by `turn` x 90 degrees counter-clockwise, stretched back to the same height and width if they differ."""
    if turn == 0:
        return images
    turned = (images.transpose(2, 3).flip(2), images.flip(2).flip(3), images.flip(2).transpose(2, 3))[turn - 1]
    if images.shape[2] != images.shape[3]:
        turned = F.interpolate(turned, size=images.shape[2:], mode="bilinear", align_corners=False)
    return turned


def centre_and_whitening(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and a matrix W (d, d) such that ``|W (x - mean)|`` is the Mahalanobis distance; Ledoit-Wolf covariance."""
    from sklearn.covariance import LedoitWolf

    values = codes.double().numpy()
    shrunk = LedoitWolf().fit(values)
    floor = 1e-6 * max(float(values.var(axis=0).mean()), 1e-12)  # dead units leave the covariance singular
    covariance = torch.tensor(shrunk.covariance_) + floor * torch.eye(values.shape[1], dtype=torch.float64)
    inverse = torch.linalg.inv(torch.linalg.cholesky(covariance))
    return torch.tensor(shrunk.location_, dtype=torch.float32), inverse.float()


def _mahalanobis(codes: Tensor, centre: Tensor, whitening: Tensor) -> Tensor:
    return torch.einsum("tnd,ted->tne", codes - centre, whitening).square().sum(2).sqrt().mean(0)
